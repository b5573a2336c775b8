package describe_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", name, diff)
	}
}

// described are the rule files of TestSet, with values for their inputs: the
// shipped ones and one that has each option of a rule and a step.
var described = map[string]map[string]string{
	"../../rules/deal-shipments.yaml": {"list": "17"},
	"../../rules/invoice-total.yaml":  {"helper_type": "1038"},
	"testdata/options.yaml":           {"type": "1038"},
}

// TestSet compares everything that explain, the coverage of rule tests and the
// clean-up after downtime know about rules.
func TestSet(t *testing.T) {
	for path, given := range described {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			set, list := load.File(path, text, actions.All)
			if list.HasErrors() {
				t.Fatal(list)
			}
			inputs, problems := set.BindInputs(given)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			type known struct {
				Rule      string
				Outline   describe.Outline
				Leftovers []describe.Leftover
				AllKnown  bool
				Repeats   []string
			}
			all := struct {
				Description describe.Description
				Rules       []known
			}{Description: describe.Set(set)}
			for _, r := range set.Rules {
				places, ok := describe.Leftovers(r, inputs)
				all.Rules = append(all.Rules, known{r.ID, describe.OutlineOf(r, inputs), places, ok, describe.Repeats(r)})
			}
			got, err := json.MarshalIndent(all, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", append(got, '\n'))
		})
	}
}

type reserveArgs struct {
	Article string `yaml:"article" validate:"required" doc:"article number of the product" example:"A-17"`
	Amount  int    `yaml:"amount" validate:"required,min=1" doc:"pieces to reserve"`
	Mode    string `yaml:"mode" validate:"omitempty,oneof=soft hard" doc:"whether others can take it back"`
}

// TestManual compares the manual pages of actions.
func TestManual(t *testing.T) {
	reserve := engine.Define(engine.Spec[reserveArgs]{
		Name: "reserve_stock", Doc: "reserve pieces of a product", Effect: engine.Writes,
		Says: "reserve {amount} of {article}",
		Run:  func(context.Context, *engine.Call, reserveArgs) (any, error) { return nil, nil },
	})
	golden(t, "manual.md", describe.Manual([]*engine.Action{reserve}))
	want, err := os.ReadFile("../../docs/actions.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(describe.Manual(actions.All))); diff != "" {
		t.Errorf("run make gen (-want +got)\n%s", diff)
	}
}

// TestSchema compares the schema of rule files with the one that editors use.
func TestSchema(t *testing.T) {
	got, err := describe.Schema(actions.All)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../schemas/rules.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run make gen (-want +got)\n%s", diff)
	}
}

// compile compiles a file without errors.
func compile(t *testing.T, text string) *engine.RuleSet {
	t.Helper()
	set, list := load.File("rule.yaml", []byte(text), actions.All)
	if list.HasErrors() {
		t.Fatal(list)
	}
	return set
}

// TestLogic checks which changes of a rule file change its logic: those of formulas,
// conditions and values, not those of titles and comments.
func TestLogic(t *testing.T) {
	const head = "version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n"
	const rule = head + "    steps: [{log: {message: '{{ event.count + 1 }}'}}]\n"
	same := "# a comment\nversion: 1\ntitle: a title\nrules:\n  r:\n    on: [ONCRMDEALUPDATE]\n    steps:\n      - log:\n          message: \"{{ event.count + 1 }}\"\n"
	if got, want := describe.Logic(compile(t, same)), describe.Logic(compile(t, rule)); got != want {
		t.Errorf("a comment and a title change the logic (-want +got)\n%s", cmp.Diff(want, got))
	}
	steps := []string{
		"[{log: {message: '{{ event.count + 1 }}'}}]",
		"[{log: {message: '{{ event.count + 2 }}'}}]",
		"[{log: {message: a}}]",
		"[{when: =event.count > 1, log: {message: a}}]",
		"[{for_each: '=[1]', log: {message: a}}]",
		"[{once: =event.id, log: {message: a}}]",
		"[{entered: =event.count > 1, log: {message: a}}]",
		"[{at: '=atTime(event.time, \"09:00\")', log: {message: a}}]",
		"[{at: '=atTime(event.time, \"10:00\")', log: {message: a}}]",
		"[{at: {time: '=atTime(event.time, \"10:00\")', late: 2h}, log: {message: a}}]",
		"[{retry: 2, log: {message: a}}]",
		"[{timeout: 2s, log: {message: a}}]",
		"[{on_error: skip, log: {message: a}}]",
		"[{on_error: [{log: {message: b}}], log: {message: a}}]",
		"[{update_item: {owner: deal, id: =event.id, fields: {title: a}}}]",
		"[{update_item: {owner: deal, id: =event.id, fields: {title: b}}}]",
		"[{update_item: {owner: deal, id: =event.id, fields: {title: a, comments: [a, {b: c}]}}}]",
	}
	seen := map[string]string{}
	for _, s := range steps {
		logic := describe.Logic(compile(t, head+"    steps: "+s+"\n"))
		if other, twice := seen[logic]; twice {
			t.Errorf("%s and %s have the same logic", s, other)
		}
		seen[logic] = s
	}
}

// TestMatchNamesTheFalsePart checks that only the false parts of a condition are given
// as the reason.
func TestMatchNamesTheFalsePart(t *testing.T) {
	set := compile(t, "version: 1\nrules:\n  r: {on: ONCRMDEALUPDATE, when: =event.count == 1 && event.id == 8, steps: [{log: {message: a}}]}\n")
	e := engine.Event{Code: "ONCRMDEALUPDATE", Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}}
	got := describe.Match(set, "main", e, nil)[0]
	if diff := cmp.Diff([]string{"when: (event.id == 8) is false"}, got.Why); diff != "" || got.Matches || got.Perhaps {
		t.Errorf("%+v (-want +got)\n%s", got, diff)
	}
}

// TestMatchUnknownInputs checks that a rule may match when its condition needs an input
// without a value, however the condition reads the input.
func TestMatchUnknownInputs(t *testing.T) {
	e := engine.Event{Code: "ONCRMDEALUPDATE", Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}}
	for _, tt := range []struct{ when, depends string }{
		{"event.count > inputs.least", "inputs.least"},
		{"event.count > vars.direct", "inputs.least"},
		{"event.count > vars.twice", "inputs.least"},
		{"event.count > vars.fixed", ""},
		{`vars["direct"] > 0`, "inputs.least"},
		{"any([inputs], .least > 0)", "inputs.least, inputs.other"},
	} {
		set := compile(t, `
version: 1
inputs: {least: {type: integer}, other: {type: integer}, known: {type: integer, default: 1}}
vars: {direct: =inputs.least, twice: =vars.direct * 2, fixed: =inputs.known * 7}
rules:
  r: {on: ONCRMDEALUPDATE, when: '=`+tt.when+`', steps: [{log: {message: a}}]}
`)
		got := describe.Match(set, "main", e, map[string]any{"known": num.FromInt(1)})[0]
		want := []string{"when: " + tt.when + " depends on " + tt.depends + ", and only the configuration knows that value"}
		if tt.depends == "" {
			want = []string{"when: (event.count > vars.fixed) is false"}
		}
		if diff := cmp.Diff(want, got.Why); diff != "" || got.Matches || got.Perhaps != (tt.depends != "") {
			t.Errorf("%s: matches %t, perhaps %t (-want +got)\n%s", tt.when, got.Matches, got.Perhaps, diff)
		}
	}
}

// TestMatch checks for each rule whether an event starts it.
func TestMatch(t *testing.T) {
	set := compile(t, `
version: 1
inputs:
  least: {type: integer}
vars:
  least: 0
rules:
  deals: {on: [ONCRMDEALADD, ONCRMDEALUPDATE], steps: [{log: {message: a}}]}
  gone: {on: [ONCRMDEALDELETE], deleted: [{log: {message: a}}]}
  invoices: {on: {events: [ONCRMDYNAMICITEMUPDATE], entityTypeId: 31}, steps: [{log: {message: a}}]}
  elsewhere: {on: ONCRMDEALUPDATE, portals: [other], steps: [{log: {message: a}}]}
  added: {on: [ONCRMDEALADD, ONCRMDEALUPDATE], when: =event.added, steps: [{log: {message: a}}]}
  both: {on: ONCRMDEALUPDATE, when: =event.id == 8 && event.count > vars.least, steps: [{log: {message: a}}]}
  least: {on: ONCRMDEALUPDATE, when: =event.count > inputs.least, steps: [{log: {message: a}}]}
`)
	id := func(id string) map[string]any { return map[string]any{"FIELDS": map[string]any{"ID": id}} }
	item := map[string]any{"FIELDS": map[string]any{"ID": "3", "ENTITY_TYPE_ID": "31"}}
	for _, tt := range []struct {
		name, portal, code string
		data               map[string]any
		inputs             map[string]any
		want               map[string]string // rules that match, with what they are about; "?" for perhaps
	}{
		{"an update", "main", "oncrmdealupdate", id("7"), nil, map[string]string{"deals": "steps deal:7", "least": "? steps deal:7"}},
		{"the portal is not known", "", "ONCRMDEALADD", id("7"), nil, map[string]string{"deals": "steps deal:7", "added": "steps deal:7"}},
		{"a rule for one portal", "", "ONCRMDEALUPDATE", id("7"), nil, map[string]string{"deals": "steps deal:7", "elsewhere": "? steps deal:7", "least": "? steps deal:7"}},
		{"its portal", "other", "ONCRMDEALUPDATE", id("7"), nil, map[string]string{"deals": "steps deal:7", "elsewhere": "steps deal:7", "least": "? steps deal:7"}},
		{"an input is known", "main", "ONCRMDEALUPDATE", id("8"), map[string]any{"least": num.FromInt(0)}, map[string]string{"deals": "steps deal:8", "both": "steps deal:8", "least": "steps deal:8"}},
		{"a deletion", "main", "ONCRMDEALDELETE", id("7"), nil, map[string]string{"gone": "deleted deal:7"}},
		{"an invoice", "main", "ONCRMDYNAMICITEMUPDATE", item, nil, map[string]string{"invoices": "steps item:31:3"}},
		{"no id", "main", "ONCRMDEALUPDATE", nil, nil, map[string]string{}},
		{"no event of Bitrix24", "main", "ONCRMNOSUCH", id("7"), nil, map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			for _, m := range describe.Match(set, tt.portal, engine.Event{Code: tt.code, Data: tt.data}, tt.inputs) {
				switch {
				case m.Matches:
					got[m.Rule] = m.Part + " " + m.Entity
				case m.Perhaps:
					got[m.Rule] = "? " + m.Part + " " + m.Entity
				case len(m.Why) == 0:
					t.Errorf("%s does not match, and no reason is given", m.Rule)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNeedsOfAStart: a rule that starts a rule with the id company needs nothing of
// companies.
func TestNeedsOfAStart(t *testing.T) {
	set := compile(t, "version: 1\nrules:\n  company:\n    about: portal\n    steps: [{log: {message: a}}]\n  r:\n    on: ONCRMDEALUPDATE\n    steps: [{start: {rule: company}}]\n")
	if needs := describe.NeedsOf(set.Rules[1], nil); len(needs.Places) != 0 {
		t.Errorf("places %+v", needs.Places)
	}
}
