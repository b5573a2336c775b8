package actions_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
)

// deals is a rule on deals that reads the deal and takes the given steps.
func deals(id, steps string) string {
	return "  " + id + ":\n    on: ONCRMDEALUPDATE\n    steps:\n      - {id: deal, fetch_item: {owner: deal, id: =event.id}}\n" + steps
}

// write is a step that writes fields of the deal.
func write(fields, options string) string {
	return "      - update_item:\n          owner: deal\n          id: =event.id\n          fields:\n            " + fields + "\n" + options
}

// TestCycles checks which cycles are reported as not terminating.
func TestCycles(t *testing.T) {
	for _, tt := range []struct {
		name, rules string
		terminates  bool
		why         string // part of the reason; "" means no cycle
	}{
		{"a constant", deals("a", write("title: x", "")), true, "writes nothing"},
		{"a copy", deals("a", write("comments: =deal.title", "")), true, "writes nothing"},
		{"itself", deals("a", write("title: =deal.title", "")), true, "writes nothing"},
		{"rounded", deals("a", write("opportunity: =round(deal.opportunity ?? 0, 2)", "")), true, "writes nothing"},
		{"counted up", deals("a", write("opportunity: =(deal.opportunity ?? 0) + 1", "")), false, "opportunity is computed from itself"},
		{"through compute", deals("a", "      - compute: {n: '=(deal.opportunity ?? 0) + 1'}\n"+write("opportunity: =n", "")), false, "computed from itself"},
		{"a text that grows", deals("a", write(`title: "{{ deal.title ?? '' }}!"`, "")), false, "title is computed from itself"},
		{"guarded by when", deals("a", write(`title: "{{ deal.title ?? '' }}!"`, `        when: =!((deal.title ?? "") endsWith "!")`+"\n")), true, "writes nothing"},
		{"once for a stage", deals("a", write("opportunity: =(deal.opportunity ?? 0) + 1", "        once: =deal.stageId\n")), true, "writes nothing"},
		{"once for each event", deals("a", write("title: x", "        once: =event.time\n")), true, "writes nothing"},
		{"the clock", deals("a", write("ufCrm_At: =event.time", "")), false, "event.time"},
		{"the count", deals("a", write("ufCrm_N: =event.count", "")), false, "event.count"},
		{"a call", deals("a", "      - call: {method: crm.deal.update, params: {id: =event.id, fields: {TITLE: x}}}\n"), false, "writes even when nothing differs"},
		{"another entity", deals("a", "      - update_item: {owner: lead, id: 5, fields: {title: x}}\n"), true, ""},
		{"a delete", "  a:\n    on: [ONCRMDEALDELETE]\n    deleted:\n      - delete_items: {owner: lead, filter: {ufCrm_Deal: =event.id}}\n", true, ""},
		{"two rules that copy in a circle", deals("a", write("ufCrm_A: =deal.ufCrm_B", "")) + deals("b", write("ufCrm_B: =deal.ufCrm_A", "")), true, "writes nothing"},
		{"two rules that pass it on, longer each time", deals("a", write(`title: "{{ deal.comments ?? '' }}!"`, "")) + deals("b", write(`comments: "{{ deal.title ?? '' }}?"`, "")), false, "each computes its values from what the other wrote"},
		{"two steps that pass it on, longer each time", deals("a", write(`title: "{{ deal.comments ?? '' }}!"`, "")+write(`comments: "{{ deal.title ?? '' }}?"`, "")), false, "each computes its values from what the other wrote"},
		{"three rules, and one of them rests", deals("a", write(`ufCrm_A: "{{ deal.ufCrm_C ?? '' }}!"`, "")) + deals("b", write("ufCrm_B: =deal.ufCrm_A", "")) + deals("c", write("ufCrm_C: =deal.ufCrm_B", "        once: =deal.stageId\n")), true, "writes nothing"},
		{"three rules in a circle", deals("a", write(`ufCrm_A: "{{ deal.ufCrm_C ?? '' }}!"`, "")) + deals("b", write("ufCrm_B: =deal.ufCrm_A", "")) + deals("c", write("ufCrm_C: =deal.ufCrm_B", "")), false, "each computes its values from what the other wrote"},
		{"two rules for other portals", strings.Replace(deals("a", "      - update_item: {owner: lead, id: 5, fields: {ufCrm_T: =event.time}}\n"), "    steps", "    portals: [x]\n    steps", 1) +
			"  b:\n    on: ONCRMLEADUPDATE\n    portals: [y]\n    steps:\n      - update_item: {owner: deal, id: 5, fields: {ufCrm_T: =event.time}}\n", true, ""},
		{"children of children", "  a:\n    on: {events: [ONCRMDYNAMICITEMADD], entityTypeId: 1038}\n    steps:\n      - upsert_item: {entityTypeId: 1038, key: {ufCrm5Of: =event.id}, fields: {title: x}}\n", false, "each new item"},
		{"one item for all", "  a:\n    on: {events: [ONCRMDYNAMICITEMADD, ONCRMDYNAMICITEMUPDATE], entityTypeId: 1038}\n    steps:\n      - upsert_item: {entityTypeId: 1038, key: {title: all}, fields: {ufCrm5X: 1}}\n", true, "writes nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, list := load.File("a.yaml", []byte("version: 1\nrules:\n"+tt.rules), actions.All)
			reported := false
			for _, f := range list {
				reported = reported || f.Code == "ring" || f.Code == "self-trigger"
			}
			if reported == tt.terminates {
				t.Errorf("reported: %v, want %v: %v", reported, !tt.terminates, list)
			}
			if set == nil {
				return
			}
			cycles := lint.Cycles([]*engine.RuleSet{set})
			if tt.why == "" {
				if len(cycles) > 0 {
					t.Errorf("cycles %+v", cycles)
				}
				return
			}
			if len(cycles) == 0 {
				t.Fatal("no cycle")
			}
			endless := slices.ContainsFunc(cycles, func(r lint.Cycle) bool { return !r.Terminates })
			for _, r := range cycles {
				if r.Terminates && endless {
					continue // a shorter one that terminates
				}
				if r.Terminates != tt.terminates || !strings.Contains(r.Why.String(), tt.why) || !strings.HasSuffix(r.Chain.String(), "rule "+r.Rules[0]) {
					t.Errorf("terminates: %v, because %s (%s)", r.Terminates, r.Why, r.Chain)
				}
			}
		})
	}
}

// TestModel checks that a model does not depend on wording and layout, but on
// everything else.
func TestModel(t *testing.T) {
	base := "version: 1\nrules:\n" + deals("a", write("title: =deal.comments ?? ''", ""))
	model := func(text string) (string, string) {
		set, list := load.File("a.yaml", []byte(text), actions.All)
		if set == nil {
			t.Fatal(list)
		}
		return describe.Model(set), describe.Logic(set)
	}
	want, _ := model(base)
	same := []string{
		"# a comment\n" + base,
		strings.Replace(base, "version: 1", "version: 1\ntitle: words", 1),
		strings.Replace(base, "=deal.comments ?? ''", `'=(deal.comments)??""'`, 1),
	}
	for _, text := range same {
		if got, _ := model(text); got != want {
			t.Errorf("%s\nhas the model\n%s\nwant\n%s", text, got, want)
		}
	}
	for _, pair := range [][2]string{
		{"ONCRMDEALUPDATE", "ONCRMDEALADD"},
		{"title:", "comments:"},
		{"deal.comments", "deal.title"},
		{"  a:", "  b:"},
		{"    steps", "    debounce: 3s\n    steps"},
		{"    steps", "    owner: x\n    steps"},
		{"    steps", "    limits: {calls: 5}\n    steps"},
		{"      - update_item", "      - timeout: 3s\n        update_item"},
		{"      - update_item", "      - on_error: skip\n        update_item"},
	} {
		if got, _ := model(strings.Replace(base, pair[0], pair[1], 1)); got == want {
			t.Errorf("%s instead of %s changes no model", pair[1], pair[0])
		}
	}
	_, a := model(strings.Replace(base, "=deal.comments ?? ''", `"Deal {{ event.id }}"`, 1))
	_, b := model(strings.Replace(base, "=deal.comments ?? ''", `"Сделка {{ event.id }}"`, 1))
	if a != b {
		t.Errorf("wording is logic:\n%s\n%s", a, b)
	}
}
