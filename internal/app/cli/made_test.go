package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestMade: why, a renamed rule in commands without serve, release, and orphans in status.
func TestMade(t *testing.T) { onEachDatabase(t, testMade) }

func testMade(t *testing.T, database string) {
	dir := t.TempDir()
	rule := func(id string) string {
		return "version: 1\nrules:\n  " + id + ":\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
			"      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}\n"
	}
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, Rules: fstest.MapFS{"a.yaml": {Data: []byte(rule("note"))}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof")
	h.Wait()
	h.Stop()
	var elements []struct{ ID string }
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}, &elements)
	if len(elements) != 1 {
		t.Fatalf("elements %v", elements)
	}
	record := fmt.Sprintf("element:%d:%s", h.IDs.ShipmentList, elements[0].ID)
	check := func(exit int, args []string, want ...string) {
		t.Helper()
		out, talk := c.run(exit, args...)
		for _, w := range want {
			if !strings.Contains(out+talk, w) {
				t.Errorf("%s\nwant %q in\n%s%s", strings.Join(args, " "), w, out, talk)
			}
		}
	}
	check(exitFine, []string{"why", record, "name"}, "rule note (a.yaml:9:9), version ", fmt.Sprintf("for deal:%d, because of ONCRMDEALADD (1 event)", deal), "name: Roof")
	check(exitFine, []string{"why", "element", strings.TrimPrefix(record, "element:"), "--format", "json"}, `"rule": "note"`, `"DEAL"`)
	check(exitFine, []string{"why", record}, "writes NAME, DEAL")
	check(exitFindings, []string{"why", record, "SUM"}, "no rule is known to have written SUM")
	check(exitFine, []string{"why", fmt.Sprint("deal:", deal)}, "no rule is known to have written it", fmt.Sprintf("made from deal:%d:", deal), record+", rule note, run 1 at ")
	check(exitFindings, []string{"why", fmt.Sprint("deal:", deal), "TITLE"}, "no rule is known to have written TITLE", record)
	check(exitFindings, []string{"why", fmt.Sprint("deal:", deal+1)}, "no rule is known to have written it")
	for _, bad := range [][]string{{}, {"elemnt:47:1"}, {"element:47"}, {"element:x:1"}, {"deal:0"}, {"deal:1", "a", "b"}} {
		check(exitUsage, append([]string{"why"}, bad...), "element:47:12")
	}

	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), rule("remark"))
	const refused = "would-double"
	check(exitFindings, []string{"sync", "--rule", "remark"}, "rule remark would make again what rule note has made: 1 element of list 47", refused, "moved: {from: note}")
	check(exitFindings, []string{"run", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, refused)
	check(exitFine, []string{"plan", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, refused, "+ ")
	check(exitUsage, []string{"release", "--rule", "nota"}, `rule "nota" has made nothing (did you mean note?)`)
	check(exitUsage, []string{"release"}, "which rule? --rule ID")
	check(exitFine, []string{"release", "--rule", "note"}, "released 1 record of list 47 that rule note has made in portal demo")
	check(exitFine, []string{"audit", "--what", "released", "--format", "json"}, `"target": "rule note"`, `"result": "1 record of list 47"`)
	check(exitFine, []string{"plan", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, "+ ")
}

// TestPrune deletes what a removed rule has made: not what people have made or have given
// another code, and nothing while the rule runs.
func TestPrune(t *testing.T) { onEachDatabase(t, testPrune) }

func testPrune(t *testing.T, database string) {
	dir := t.TempDir()
	text := strings.Replace(testkit.Rule("note", "      - upsert_element: {list: 47, key: =event.id, fields: {NAME: x}}\n"), "DEALUPDATE", "DEALADD", 1)
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, Rules: fstest.MapFS{"a.yaml": {Data: []byte(text)}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	for _, name := range []string{"one", "two", "three", "four"} {
		h.AddDeal(name)
	}
	h.Wait()
	h.Stop()
	list := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}
	with := func(more ...string) map[string]any {
		all := maps.Clone(list)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	var elements []struct{ ID, CODE string }
	h.Rest("lists.element.get", list, &elements)
	if len(elements) != 4 {
		t.Fatalf("elements %v", elements)
	}
	own := with("ELEMENT_CODE", "by-hand")
	own["FIELDS"] = map[string]any{"NAME": "of people"}
	h.Rest("lists.element.add", own, nil)
	changed := with("ELEMENT_ID", elements[0].ID, "ELEMENT_CODE", "theirs")
	changed["FIELDS"] = map[string]any{"NAME": "taken over"}
	h.Rest("lists.element.update", changed, nil)
	h.Rest("lists.element.delete", with("ELEMENT_ID", elements[1].ID), nil)
	check := func(exit int, want string, args ...string) {
		t.Helper()
		if out, talk := c.run(exit, append([]string{"prune"}, args...)...); !strings.Contains(out+talk, want) {
			t.Errorf("%v: want %q in\n%s%s", args, want, out, talk)
		}
	}
	check(exitUsage, "which rule? --rule ID")
	check(exitUsage, `rule "nota" has made nothing (did you mean note?)`, "--rule", "nota")
	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), text)
	check(exitFailure, "rule note runs in portal demo and has them", "--rule", "note", "--yes")
	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), testkit.Rule("other", "      - log: {message: hi}\n"))
	check(exitFindings, "2 elements, 1 no longer there, 1 with another code stay", "--rule", "note")
	check(exitFindings, "2 elements deleted, 1 no longer there, 1 with another code stay", "--rule", "note", "--yes")
	check(exitFindings, "0 elements deleted, 1 with another code stay", "--rule", "note", "--yes")
	if out, _ := c.run(exitFine, "audit", "--what", "pruned", "--format", "json"); !strings.Contains(out, `"result": "2 elements deleted of list 47"`) {
		t.Errorf("audit: %s", out)
	}
	h.Rest("lists.element.get", list, &elements)
	var codes []string
	for _, e := range elements {
		codes = append(codes, e.CODE)
	}
	slices.Sort(codes)
	if !slices.Equal(codes, []string{"by-hand", "theirs"}) {
		t.Errorf("the list has %v", codes)
	}
}

// TestAdopt lets a rule take over elements that people have made: those that fit one row, after
// they were shown.
func TestAdopt(t *testing.T) { onEachDatabase(t, testAdopt) }

func testAdopt(t *testing.T, database string) {
	dir := t.TempDir()
	text := testkit.Rule("lines", "      - id: rows\n        fetch_products: {owner: deal, id: =event.id}\n"+
		"      - sync_elements:\n          list: 47\n          scope: {DEAL: =event.id}\n          rows: =rows\n          key: =row.key\n          fields: {NAME: 'row {{ row.productName }}'}\n          match: {QUANTITY: =row.quantity}\n")
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, Rules: fstest.MapFS{"a.yaml": {Data: []byte(strings.ReplaceAll(text, "ONCRMDEALUPDATE", "ONCRMLEADADD"))}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"), row("Wood", "1", "5"))
	for name, quantity := range map[string]int{"tiles by hand": 3, "nails by hand": 2, "nails twice": 2, "other": 99} {
		h.AddElement("hand-"+strings.ReplaceAll(name, " ", "-"), name, map[string]any{"DEAL": deal, "QUANTITY": quantity})
	}
	h.Wait()
	h.Stop()
	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), text)
	names := func() []string { return slices.Sorted(maps.Keys(h.Elements(deal))) }
	before := names()
	check := func(exit int, want string, args ...string) {
		t.Helper()
		if out, talk := c.run(exit, append([]string{"adopt"}, args...)...); !strings.Contains(out+talk, want) {
			t.Errorf("%v: want %q in\n%s%s", args, want, out, talk)
		}
		if now := names(); !slices.Equal(now, before) {
			t.Errorf("%v: the list has %v, want %v", args, now, before)
		}
	}
	const rest = "1 row is unclear, 1 row fits no record, 1 record fits no row: "
	check(exitUsage, "which rule? --rule ID")
	check(exitUsage, "did you mean lines?", "--rule", "line")
	check(exitFindings, "rule lines in portal demo, list 47: 1 element to take over, "+rest, "--rule", "lines")
	check(exitFindings, "list 47: 1 element taken over, "+rest, "--rule", "lines", "--yes")
	check(exitFindings, "list 47: 0 elements taken over, "+rest, "--rule", "lines", "--yes")
	if out, _ := c.run(exitFine, "audit", "--what", "adopted", "--format", "json"); !strings.Contains(out, `"result": "1 record"`) {
		t.Errorf("audit: %s", out)
	}
	var id int
	for name, e := range h.Elements(deal) {
		if name == "tiles by hand" {
			id = e.ID()
		}
	}
	if out, _ := c.run(exitFine, "why", fmt.Sprintf("element:%d:%d", h.IDs.ShipmentList, id)); !strings.Contains(out, "rule lines") || !strings.Contains(out, "taken over with adopt at") {
		t.Errorf("why: %s", out)
	}
	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), strings.Replace(text, "          match: {QUANTITY: =row.quantity}\n", "", 1))
	check(exitUsage, "match: {PRODUCT: =row.productId}", "--rule", "lines")
}

// TestAdoptKinds lets each kind of step take over a record that a person has made, with what the
// person wrote in it, and refuses to choose between two.
func TestAdoptKinds(t *testing.T) {
	const item = "          entityTypeId: 1038\n          fields: {title: 'of the rule'}\n"
	kinds := []struct {
		name, step, method string
		record             map[string]any
		took, unclear      string
	}{
		{"upsert_item", "      - upsert_item:\n" + item + "          key: {ufCrm5InvoiceId: =event.id}\n          match: {ufCrm5Total: 5}\n", "crm.item", map[string]any{"ufCrm5Total": 5}, "1 item", "1 row is unclear"},
		{"sync_items", "      - id: rows\n        fetch_products: {owner: deal, id: =event.id}\n      - sync_items:\n" + item +
			"          scope: {ufCrm5Total: 5}\n          rows: =rows\n          key: {ufCrm5InvoiceId: =row.quantity}\n          match: {title: =row.productName}\n", "crm.item", map[string]any{"ufCrm5Total": 5}, "1 item", "1 row is unclear"},
		{"upsert_element", "      - upsert_element:\n          list: 47\n          key: =event.id\n          match: {DEAL: =event.id}\n          fields: {NAME: 'of the rule', DEAL: =event.id}\n", "lists.element", nil, "1 element", "1 row is unclear"},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rule := testkit.Rule("takes", kind.step)
			h := newHarness(t, apptest.Options{Dir: dir, Rules: fstest.MapFS{"a.yaml": {Data: []byte(strings.ReplaceAll(rule, "ONCRMDEALUPDATE", "ONCRMLEADADD"))}}, Inputs: map[string]map[string]string{}})
			c := newCLI(h, dir)
			testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), rule)
			deal := h.AddDeal("Roof", row("Tiles", "10", "3"))
			h.Stop()
			add := func() {
				t.Helper()
				if kind.method == "lists.element" {
					h.AddElement(fmt.Sprint("hand-", len(h.Elements(deal))), fmt.Sprint("by hand ", len(h.Elements(deal))), map[string]any{"DEAL": deal, "COMMENT": "call first"})
					return
				}
				fields := maps.Clone(kind.record)
				fields["title"], fields["ufCrm5Note"] = "Tiles", "call first"
				h.Rest("crm.item.add", map[string]any{"entityTypeId": 1038, "fields": fields}, nil)
			}
			// records are their names and what a person wrote, sorted.
			records := func() (out []string) {
				t.Helper()
				if kind.method == "lists.element" {
					for name, e := range h.Elements(deal) {
						out = append(out, name+", "+h.Property(e, "COMMENT"))
					}
				} else {
					var all struct {
						Items []struct{ Title, UfCrm5Note string }
					}
					h.Rest("crm.item.list", map[string]any{"entityTypeId": 1038}, &all)
					for _, i := range all.Items {
						out = append(out, i.Title+", "+i.UfCrm5Note)
					}
				}
				slices.Sort(out)
				return out
			}
			check := func(exit int, want string, args ...string) {
				t.Helper()
				if out, talk := c.run(exit, args...); !strings.Contains(out+talk, want) {
					t.Errorf("%v: want %q in\n%s%s", args, want, out, talk)
				}
			}
			add()
			add()
			two := records()
			check(exitFindings, kind.unclear, "adopt", "--rule", "takes", "--yes")
			if got := records(); !slices.Equal(got, two) {
				t.Errorf("of two records: %v, want %v", got, two)
			}
			if kind.method == "lists.element" {
				h.Rest("lists.element.delete", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 47, "ELEMENT_CODE": "hand-1"}, nil)
			} else {
				h.Rest("crm.item.delete", map[string]any{"entityTypeId": 1038, "id": 2}, nil)
			}
			one := records()
			check(exitFindings, kind.took+" to take over", "adopt", "--rule", "takes")
			check(exitFine, kind.took+" taken over", "adopt", "--rule", "takes", "--yes")
			if got := records(); !slices.Equal(got, one) || len(one) != 1 {
				t.Errorf("taken over: %v, want %v unchanged", got, one)
			}
			check(exitFine, "0 "+strings.TrimPrefix(kind.took, "1 ")+"s taken over", "adopt", "--rule", "takes", "--yes")
			check(exitFine, "", "run", "--rule", "takes", "--entity", fmt.Sprint("deal:", deal))
			if got := records(); !slices.Equal(got, []string{"of the rule, call first"}) {
				t.Errorf("after a run of the rule: %v", got)
			}
		})
	}
}
