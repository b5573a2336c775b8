package testportal_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// portalOf builds a portal from the text of a test's portal and given.
func portalOf(t *testing.T, setup, given string) (*testportal.Portal, *diag.List) {
	t.Helper()
	var s testportal.Setup
	decode(t, setup, &s)
	p, err := testportal.NewPortal(&s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, change(t, p, given)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	f, list := yamlfile.Parse("a.yaml", []byte(text))
	if !list.HasErrors() {
		list.Add(yamlfile.Decode(f, f.Root, into)...)
	}
	if list.HasErrors() {
		t.Fatal(list.Err())
	}
}

// change checks and applies changes of people. It returns the findings.
func change(t *testing.T, p *testportal.Portal, text string) *diag.List {
	t.Helper()
	var d testportal.Data
	decode(t, text, &d)
	list := &diag.List{}
	c := testportal.DataChecker{Schema: p.Schema, List: list}
	if c.State(&d, true); list.HasErrors() {
		return list
	}
	if err := p.Apply(&d, nil); err != nil {
		list.Errorf(diag.Pos{File: "a.yaml", Line: 1, Column: 1}, "refused", "%v", err)
	}
	return list
}

// TestChangesAndSnapshot makes every kind of change and compares the data that the
// portal has then.
func TestChangesAndSnapshot(t *testing.T) {
	t.Parallel()
	p, list := portalOf(t, `{types: {1032: {title: Order, products: true, fields: {ufCrm9Kind: [Retail, Wholesale], ufCrm9Tags: {type: string, multiple: true}, ufCrm9Done: boolean}}},
lists: {47: {name: Shipments, code: shipments, properties: {DEAL: number, SHIPPED: [Yes], WHO: {type: string, multiple: true}}}}}`,
		`{deals: {7: {title: Roof, rows: [{productName: Tile, price: 10.5, quantity: 3}, {productName: Tile, price: 10.5, quantity: 3}]}, 8: {title: Cellar}},
items: {1032: {5: {title: Five, ufCrm9Kind: Wholesale, ufCrm9Tags: [a, b], ufCrm9Done: true}}},
elements: {shipments: [{NAME: Tile, ID: 90, CODE: own, DEAL: 7, WHO: [Anna, Berta]}, {NAME: Nails, DEAL: 8}]}}`)
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{elements: {47: [{where: {NAME: Tile}, set: {SHIPPED: Yes}}, {where: {DEAL: 8}, delete: true}]}}`,
		`{deals: {7: {title: New roof}, 8: null}}`,
	} {
		if err := change(t, p, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(s.Comparable(true), "\n")
	for _, want := range []string{
		"title: New roof", "(id): \"7\"", "productName: Tile", "ufCrm9Kind: Wholesale", "- a\n", "ufCrm9Done: Y",
		"(id): \"90\"", "SHIPPED: \"Yes\"", "- Anna\n", "DEAL: \"7\"",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the data has no %q:\n%s", want, got)
		}
	}
	for _, gone := range []string{"Cellar", "Nails", "createdTime"} {
		if strings.Contains(got, gone) {
			t.Errorf("the data has %q:\n%s", gone, got)
		}
	}
	if rows := strings.Count(got, "productName: Tile"); rows != 2 {
		t.Errorf("%d rows, expected two equal ones:\n%s", rows, got)
	}
	if r, ok := testportal.RecordByID(s.Elements[47], 90); !ok || r.Code != "own" {
		t.Errorf("element 90: %+v", r)
	}
	if n := len(p.Emulator.History()); n == 0 || !p.ByPeople(0) || !p.ByPeople(n-1) {
		t.Error("the changes do not count as changes of people")
	}
}

// TestRefusedChanges checks that a change which the portal refuses is a finding.
func TestRefusedChanges(t *testing.T) {
	t.Parallel()
	p, _ := portalOf(t, `demo`, `{deals: {7: {title: Roof}}}`)
	for text, want := range map[string]string{
		`{deals: {9: null}}`: "the item to delete does not exist",
		`{elements: {47: [{where: {NAME: Tile}, set: {SHIPPED: Yes}}]}}`:   "no element of list 47 has these values",
		`{elements: {47: [{where: {NAME: Tile}, set: {SHIPPED: Maybe}}]}}`: `SHIPPED has no option "Maybe"`,
		`{deals: {7: {stageId: NOWHERE}}}`:                                 "the portal refuses this",
	} {
		if err := change(t, p, text).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}
