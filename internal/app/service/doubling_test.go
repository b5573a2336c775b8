package service_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// linesRule is a rule that keeps an element for each product row of a deal.
const linesRule = `version: 1
rules:
  lines:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - sync_elements:
          list: 47
          scope: {DEAL: =event.id}
          rows: =rows
          key: =row.key
          fields: {NAME: =row.productName}
`

// linesHarness runs linesRule next to a rule with another list of elements in the same scope.
func linesHarness(t *testing.T) (*harness, *ruleFiles, func(pairs ...string)) {
	files := &ruleFiles{files: fstest.MapFS{}}
	put := func(pairs ...string) {
		t.Helper()
		text := linesRule
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("no %q in the rule", pairs[i])
			}
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		other := strings.NewReplacer("  lines:\n", "  sums:\n", "{DEAL: =event.id}", "{DEAL: =event.id, QUANTITY: 7}", "=row.productName", "'sum {{ row.productName }}'").Replace(linesRule)
		files.set(map[string]string{"a.yaml": text, "b.yaml": other})
	}
	put()
	return newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true}), files, put
}

// forgetAll makes the database one that knows nothing of what rules have made.
func (h *harness) forgetAll() {
	h.T.Helper()
	if err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, t store.Tx) error {
		for _, table := range []string{"b24_made", "b24_mark", "b24_live", "b24_memory"} {
			if _, err := t.Exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.T.Fatal(err)
	}
}

// idsByName are the ids of the elements of the list, by name.
func (h *harness) idsByName() map[string]string {
	h.T.Helper()
	var elements []struct {
		ID   string `json:"ID"`
		Name string `json:"NAME"`
	}
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}, &elements)
	out := map[string]string{}
	for _, e := range elements {
		if out[e.Name] != "" {
			h.T.Errorf("two elements are named %s", e.Name)
		}
		out[e.Name] = e.ID
	}
	return out
}

// TestDoublingOfAnotherDatabase: a new database does not know under which id a rule has made what
// there is. A sync that would make it again under another id adds nothing, and its rule stops
// after some entities. With moved it continues.
func TestDoublingOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	h, _, put := linesHarness(t)
	var deals []int
	for i := range 6 {
		deals = append(deals, h.AddDeal(fmt.Sprint("Roof ", i), row(fmt.Sprint("Tiles ", i), "10", "3")))
	}
	h.Wait()
	before := h.idsByName()
	if len(before) != 12 {
		t.Fatalf("the rules have made %v", before)
	}
	touch := func() {
		for _, deal := range deals {
			h.Post(h.HookURL, formType, h.dealEvent(deal))
		}
	}
	h.Stop()
	h.Start()
	h.forgetAll()
	touch()
	h.Wait()
	if got := h.idsByName(); !maps.Equal(got, before) {
		t.Errorf("the same rules with an empty database: %v, want %v", got, before)
	}

	put("  lines:\n", "  positions:\n")
	h.forgetAll()
	h.Stop()
	h.Start()
	h.forgetAll()
	touch()
	h.Until("the rule is stopped", func() bool {
		holds, err := h.Service.Queue().HoldList(h.Context())
		return err == nil && slices.ContainsFunc(holds, func(x queue.Hold) bool {
			return x.Rule == "positions" && strings.Contains(x.Reason, "a rule that the portal does not have has made 1 elements")
		})
	})
	if got := h.idsByName(); !maps.Equal(got, before) {
		t.Errorf("a new id with an empty database: %v, want %v", got, before)
	}

	put("  lines:\n", "  positions:\n    moved: {from: lines}\n")
	h.Service.Reload()
	if _, err := h.Service.Queue().ProbeNow(h.Context(), demo.PortalName, "positions"); err != nil {
		t.Fatal(err)
	}
	h.Until("all runs have succeeded", func() bool {
		states := h.States()
		return states[journal.Waiting]+states[journal.Running]+states[journal.Parked] == 0
	})
	if got := h.idsByName(); !maps.Equal(got, before) {
		t.Errorf("with moved: %v, want %v", got, before)
	}
}

// TestOldKey: a rule with another key or scope is refused, and with old_key and old_scope its
// elements keep their ids and what people have written into them.
func TestOldKey(t *testing.T) {
	t.Parallel()
	h, _, put := linesHarness(t)
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"))
	h.Wait()
	before := h.idsByName()
	var rows []map[string]any
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList, "ELEMENT_ID": before["Tiles"]}, &rows)
	update := h.ElementParams(fmt.Sprint(rows[0]["CODE"]), "Tiles", map[string]any{"DEAL": deal, "PRODUCT_ID": 99})
	update["ELEMENT_ID"] = before["Tiles"]
	h.Rest("lists.element.update", update, nil)

	step := func(what string, refused bool, pairs ...string) {
		t.Helper()
		put(pairs...)
		h.Service.Reload()
		if gen := h.Service.Generation(); gen.Doubles() != refused || gen.Findings().HasErrors() != refused {
			t.Fatalf("%s: refused %t, want %t: %v", what, gen.Doubles(), refused, gen.Findings())
		}
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
		if got := h.idsByName(); !maps.Equal(got, before) {
			t.Errorf("%s: %v, want %v", what, got, before)
		}
	}
	const key, scope = "          key: =row.key\n", "scope: {DEAL: =event.id}\n"
	const named = "          key: 'p {{ row.productName }}'\n"
	const wide = "scope: {DEAL: =event.id, QUANTITY: 5}\n"
	step("another key", true, key, named)
	step("another key with old_key", false, key, named+"          old_key: =row.key\n")
	step("old_key removed", false, key, named)
	step("another scope", true, key, named, scope, wide)
	step("another scope with old_scope", false, key, named, scope, wide+"          old_scope: {DEAL: =event.id}\n")
	step("old_scope removed", false, key, named, scope, wide)
	step("back with both", false, scope, scope+"          old_scope: {DEAL: =event.id, QUANTITY: 5}\n          old_key: 'p {{ row.productName }}'\n")
	step("back", false)
	var tiles []map[string]any
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList, "ELEMENT_ID": before["Tiles"]}, &tiles)
	if text := fmt.Sprint(tiles); !strings.Contains(text, "99") {
		t.Errorf("what a person has written is gone: %s", text)
	}
}

// TestAdopt: elements that people or another installation have made are taken over by the rows
// that they fit, keep their values, and are the rule's own from then on.
func TestAdopt(t *testing.T) {
	t.Parallel()
	h, _, put := linesHarness(t)
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"))
	h.Wait()
	before := h.idsByName()
	put("  lines:\n", "  positions:\n", "key: =row.key\n", "key: =row.key\n          match: {NAME: =row.productName}\n")
	h.forgetAll()
	h.Stop()
	h.Start()
	h.forgetAll()
	rule, inputs, ok := h.Service.Generation().Rule("positions", demo.PortalName)
	if !ok {
		t.Fatal("the rule does not run")
	}
	targets, err := service.TargetsOf(h.Service.Generation(), demo.PortalName, "positions", engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(deal)}, false)
	if err != nil || len(targets) != 1 || targets[0].Rule != rule || inputs == nil {
		t.Fatal(targets, err)
	}
	shown, err := h.Service.Adopt(h.Context(), demo.PortalName, targets[0], nil)
	if err != nil || len(shown) != 1 || len(shown[0].Pairs) != 2 || shown[0].Written != 0 {
		t.Fatalf("%+v, %v", shown, err)
	}
	act, err := audit.New(h.Service.Queue().Database()).Begin(h.Context(), audit.Entry{Action: audit.Adopted}, func(n int) string { return fmt.Sprint(n, " records") })
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.Service.Adopt(h.Context(), demo.PortalName, targets[0], act)
	if err != nil || len(done) != 1 || done[0].Written != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if entries, err := audit.New(h.Service.Queue().Database()).List(h.Context(), audit.Filter{Action: audit.Adopted}); err != nil || len(entries) != 1 || entries[0].Result != "2 records" {
		t.Errorf("audit %+v, %v", entries, err)
	}
	h.Post(h.HookURL, formType, h.dealEvent(deal))
	h.Wait()
	if got := h.idsByName(); !maps.Equal(got, before) {
		t.Errorf("after adopt: %v, want %v", got, before)
	}
	if got := h.made(); !slices.Contains(got, fmt.Sprintf("positions list:%d 2", h.IDs.ShipmentList)) {
		t.Errorf("made %v", got)
	}
	if states := h.States(); states[journal.Parked] > 0 {
		t.Errorf("states %v", states)
	}
}

// oneRule keeps an element and an item for each deal.
const oneRule = `version: 1
rules:
  note:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}
      - upsert_item: {entityTypeId: 1038, key: {ufCrm5InvoiceId: =event.id}, fields: {title: 'card {{ deal.title }}'}}
`

// oneHarness runs oneRule with changes.
func oneHarness(t *testing.T) (*harness, func(pairs ...string)) {
	files := &ruleFiles{files: fstest.MapFS{}}
	put := func(pairs ...string) {
		files.set(map[string]string{"a.yaml": strings.NewReplacer(pairs...).Replace(oneRule)})
	}
	put()
	return newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true}), put
}

// cards are the items of the type, by title.
func (h *harness) cards() map[string]int {
	h.T.Helper()
	var answer struct {
		Items []struct {
			ID    int
			Title string
		}
	}
	h.Rest("crm.item.list", map[string]any{"entityTypeId": h.IDs.TotalsType}, &answer)
	out := map[string]int{}
	for _, i := range answer.Items {
		if out[i.Title] != 0 {
			h.T.Errorf("two items have the title %s", i.Title)
		}
		out[i.Title] = i.ID
	}
	return out
}

// TestDoublingOfOneElement: with a new database, a step that keeps one element adds none if a rule
// that the portal does not have has made one with the same key. Items are known by their fields,
// whatever the rule is called.
func TestDoublingOfOneElement(t *testing.T) {
	t.Parallel()
	h, put := oneHarness(t)
	var deals []int
	for i := range 6 {
		deals = append(deals, h.AddDeal(fmt.Sprint("Roof ", i)))
	}
	h.Wait()
	before, cards := h.idsByName(), h.cards()
	if len(before) != 6 || len(cards) != 6 {
		t.Fatalf("the rule has made %v and %v", before, cards)
	}
	touch := func() {
		for _, deal := range deals {
			h.Post(h.HookURL, formType, h.dealEvent(deal))
		}
	}
	again := func(pairs ...string) {
		put(pairs...)
		h.forgetAll()
		h.Stop()
		h.Start()
		h.forgetAll()
		touch()
	}
	again()
	h.Wait()
	again("  note:\n", "  remark:\n")
	h.Until("the rule is stopped", func() bool {
		holds, err := h.Service.Queue().HoldList(h.Context())
		return err == nil && slices.ContainsFunc(holds, func(x queue.Hold) bool {
			return x.Rule == "remark" && strings.Contains(x.Reason, "with the same key")
		})
	})
	if got := h.idsByName(); !maps.Equal(got, before) {
		t.Errorf("a new id with an empty database: %v, want %v", got, before)
	}
	put("  note:\n", "  remark:\n    moved: {from: note}\n")
	h.Service.Reload()
	if _, err := h.Service.Queue().ProbeNow(h.Context(), demo.PortalName, "remark"); err != nil {
		t.Fatal(err)
	}
	h.Until("all runs have succeeded", func() bool {
		states := h.States()
		return states[journal.Waiting]+states[journal.Running]+states[journal.Parked] == 0
	})
	if got := h.idsByName(); !maps.Equal(got, before) || !maps.Equal(h.cards(), cards) {
		t.Errorf("with moved: %v and %v, want %v and %v", got, h.cards(), before, cards)
	}
}

// TestOldKeyOfOne: a step that keeps one element or one item is refused with another key, and with
// old_key they stay.
func TestOldKeyOfOne(t *testing.T) {
	t.Parallel()
	h, put := oneHarness(t)
	deal := h.AddDeal("Roof")
	h.Wait()
	before, cards := h.idsByName(), h.cards()
	step := func(what string, refused bool, pairs ...string) {
		t.Helper()
		put(pairs...)
		h.Service.Reload()
		gen := h.Service.Generation()
		if gen.Doubles() != refused || gen.Findings().HasErrors() != refused {
			t.Fatalf("%s: refused %t, want %t: %v", what, gen.Doubles(), refused, gen.Findings())
		}
		if text := fmt.Sprint(gen.Findings()); refused && !strings.Contains(text, "old_key: ") {
			t.Errorf("%s: the finding does not name old_key: %s", what, text)
		}
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
		if got := h.idsByName(); !maps.Equal(got, before) || !maps.Equal(h.cards(), cards) {
			t.Errorf("%s: %v and %v, want %v and %v", what, got, h.cards(), before, cards)
		}
	}
	const key, named = "key: =event.id,", "key: 'd{{ event.id }}',"
	const item, sum = "key: {ufCrm5InvoiceId: =event.id},", "key: {ufCrm5Total: =event.id + 0.5},"
	step("another key of an element", true, key, named)
	put(key, named+" old_key: =event.id,")
	h.Service.Reload()
	h.Until("status counts the old key", func() bool {
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
		return err == nil && len(s.Portals[0].OldKeys) == 1 && s.Portals[0].OldKeys[0].Records == 1
	})
	step("another key of an element with old_key", false, key, named+" old_key: =event.id,")
	if s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false); err != nil || len(s.Portals[0].OldKeys) != 0 {
		t.Errorf("status after the run: %+v, %v", s.Portals[0].OldKeys, err)
	}
	step("old_key of an element removed", false, key, named)
	step("another key of an item", true, key, named, item, sum)
	step("another key of an item with old_key", false, key, named, item, sum+" old_key: {ufCrm5InvoiceId: =event.id},")
	step("old_key of an item removed", false, key, named, item, sum)
}
