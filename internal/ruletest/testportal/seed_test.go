package testportal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// TestSeed fills a portal with rate limits from the example and reads the data over REST.
func TestSeed(t *testing.T) {
	t.Parallel()
	const file = "../../../docs/examples/seed.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seed, list := testportal.ReadSeed(file, data)
	if len(list) > 0 {
		t.Fatal(list.Err())
	}
	p := emulator.New(emulator.Config{Plan: emulator.PlanStandard})
	t.Cleanup(p.Close)
	if err := seed.Fill(p); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Requests != 0 || s.HighestLevel != 0 || len(p.History()) != 0 {
		t.Errorf("filling counts: %+v", s)
	}
	for query, want := range map[string]string{
		"crm.deal.get?id=759":                                 `"TITLE":"Roof"`,
		"crm.deal.get?id=760":                                 `"STAGE_ID":"WON"`,
		"crm.item.get?entityTypeId=2&id=759":                  `"opportunity":130.5`,
		"crm.deal.productrows.get?id=759":                     `"PRODUCT_NAME":"Delivery"`,
		"crm.item.get?entityTypeId=31&id=7":                   `"opportunity":31.5`,
		"crm.item.get?entityTypeId=1038&id=1":                 `"ufCrm5Total":31.5`,
		"lists.element.get?IBLOCK_TYPE_ID=lists&IBLOCK_ID=47": `"NAME":"Tile"`,
		"crm.deal.add?fields[TITLE]=x":                        `"result":761`,
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.WebhookPath()+query, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d, %s; want %s", query, w.Code, w.Body, want)
		}
	}
	if _, err := p.App().Authorize(7); err != nil {
		t.Error(err)
	}
	// A second time fails because the portal is not new any more.
	if err := seed.Fill(p); err == nil {
		t.Error("filled twice")
	}
}

// TestSeedInManual reads the example of the manual.
func TestSeedInManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../../docs/emulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(manual), "```yaml\n# seed.yaml\n")
	example, _, ended := strings.Cut(example, "```")
	if !found || !ended {
		t.Fatal("docs/emulator.md has no example of a seed")
	}
	if _, list := testportal.ReadSeed("emulator.md", []byte(example)); len(list) > 0 {
		t.Error(list.Err())
	}
}

// TestSeedMistakes checks that each mistake is found with its position.
func TestSeedMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, want string }{
		{"deels: {}", `seed.yaml:1:1: unknown key "deels" [unknown-key] (did you mean "deals"?)`},
		{"deals: {x: {title: a}}", `seed.yaml:1:9: expected an id`},
		{"deals: {1: {titel: a}}", `seed.yaml:1:13: unknown field "titel" [unknown-field] (did you mean "title"?)`},
		{"deals: {1: {rows: [{prise: 1}]}}", `seed.yaml:1:21: unknown field "prise" of a product row [unknown-field] (did you mean "price"?)`},
		{"deals: {1: {stageId: NOWHERE}}", `seed.yaml:1:9: the portal refuses this`},
		{"deals: {1: {id: 5}}", `seed.yaml:1:13: the field id cannot be written`},
		{"deals: {1: null}", `seed.yaml:1:9: null is not allowed in given`},
		{"items: {1099: {1: {title: a}}}", `seed.yaml:1:16: the portal has no type 1099 of items`},
		{"elements: {48: [{NAME: a}]}", `seed.yaml:1:17: the portal has no list 48`},
		{"elements: {47: [{NAME: a, SHIPED: Yes}]}", `seed.yaml:1:27: list 47 has no property "SHIPED" [unknown-field] (did you mean "SHIPPED"?)`},
		{"elements: {47: [{NAME: a, SHIPPED: Maybe}]}", `seed.yaml:1:36: SHIPPED has no option "Maybe"`},
		{"elements: {47: [{DEAL: 1}]}", `seed.yaml:1:17: an element needs a NAME`},
		{"portal: dem", `seed.yaml:1:9: unknown portal "dem"`},
		{"portal: {types: {1038: {fields: {ufCrm5A: strin}}}}", `seed.yaml:1:34: unknown type "strin" of the field ufCrm5A [invalid-value] (did you mean "string"?)`},
		{"users: {x: {name: a}}", `seed.yaml:1:9: expected a user's id`},
		{"users: {7: {}}", `missing key "name"`},
		{"users: {1: {name: a}}", `seed.yaml:1:9: user 1 must be an administrator`},
		{"version: 2", `unknown version "2"`},
		{"deals: [", `seed.yaml:1:`},
		{"x", `expected a mapping`},
	} {
		seed, list := testportal.ReadSeed("seed.yaml", []byte(c.file))
		if err := list.Err(); err == nil || seed != nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v\nwant %s", c.file, err, c.want)
		}
	}
	// An empty file is a portal without data.
	if seed, list := testportal.ReadSeed("seed.yaml", nil); seed == nil || len(list) > 0 {
		t.Errorf("%v", list)
	}
}
