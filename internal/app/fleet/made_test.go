package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/ledger"
)

// made is a ledger in memory.
type made struct {
	marks  []ledger.Mark
	memory string // the rule that has one
	err    error
}

func (m *made) Marks(context.Context, string) ([]ledger.Mark, error) { return m.marks, m.err }

func (m *made) Count(context.Context, int64) (int, error) { return 3, m.err }

func (m *made) Remembers(_ context.Context, _, rule, _ string) (bool, error) {
	return rule == m.memory, m.err
}

// keeping is a rule file whose list is an input.
const keeping = `version: 1
inputs: {list: {type: integer}}
rules:
  note:
    on: ONCRMDEALUPDATE
    steps:
      - upsert_element: {list: =inputs.list, key: =event.id, fields: {NAME: x}}
`

// list47 returns the mark of what keeping has made in list 47.
func list47(t *testing.T) ledger.Mark {
	t.Helper()
	set, list := load.File("a.yaml", []byte(keeping), actions.All)
	if set == nil {
		t.Fatal(list)
	}
	inputs, problems := set.BindInputs(map[string]string{"list": "47"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m := set.Rules[0].Marks(inputs)[0]
	return ledger.Mark{ID: 1, Portal: "main", Mark: m, File: m.Pos.String(), Made: true}
}

// portalWith is the portal with an input for keeping.
func portalWith(list string) []config.Portal {
	return []config.Portal{{Name: "main", Inputs: config.NewInputs(map[string]map[string]string{"a": {"list": list}})}}
}

// TestInputsThatDouble: another list in the configuration is refused as in the file. The rule
// set keeps its old inputs, or is held if a restart has lost them. A release lets it run.
func TestInputsThatDouble(t *testing.T) {
	store := &made{marks: []ledger.Mark{list47(t)}}
	files := map[string]string{"a.yaml": keeping}
	rules := func(list string) *Rules {
		return &Rules{Actions: actions.All, Source: memorySource(files, "a.yaml"), Portals: portalWith(list), Ledger: store}
	}
	state := func(g *Generation) string {
		var out []string
		for _, i := range g.Instances("main") {
			out = append(out, fmt.Sprint("list ", i.Inputs["list"]))
		}
		for _, r := range g.Refused() {
			out = append(out, "refused: "+r.Reason())
		}
		if orphans, owned := g.Orphans("main"), g.Owned("main", store.marks); len(orphans)+len(owned) > 0 {
			out = append(out, fmt.Sprintf("%d orphans, %d owned", len(orphans), len(owned)))
		}
		return strings.Join(out, "; ")
	}
	const refusal = "refused: a.yaml:7:9: rule note would not find what it has made, and make it again: 3 elements of list 47 in portal main; it wrote list 47 and now writes list 52 [would-double] " +
		"(if the change is meant, and what the rule has made may stay as it is, run b24rules release --rule note --portal main)"
	l := rules("47")
	if _, g, err := l.Load(); err != nil || state(g) != "list 47" {
		t.Fatalf("%s, %v", state(g), err)
	}
	if _, g, err := l.Change(portalWith("52"), nil, nil); err != nil || state(g) != "list 47; "+refusal {
		t.Errorf("changed: %s, %v", state(g), err)
	}
	if _, g, err := l.Load(); err != nil || state(g) != "list 47; "+refusal {
		t.Errorf("loaded again: %s, %v", state(g), err)
	}
	restarted := rules("52")
	restarted.Before = Before{"main": {"a": {"a.yaml", keeping}}}
	if list, err := rules("52").CheckMade(store, restarted.Before, false); err == nil || len(list) > 0 {
		t.Errorf("rules that are not loaded: %v, %v", list, err)
	}
	if _, g, err := restarted.Load(); err != nil || state(g) != refusal {
		t.Errorf("restarted: %s, %v", state(g), err)
	}
	command := rules("52")
	command.Ledger = nil
	if _, _, err := command.Load(); err != nil {
		t.Fatal(err)
	}
	if list, err := command.CheckMade(store, restarted.Before, false); err != nil || len(list) != 1 || "refused: "+list[0].String() != refusal {
		t.Errorf("of a command: %v, %v", list, err)
	}
	store.marks[0].Released = time.Now()
	if _, g, err := l.Load(); err != nil || state(g) != "list 52; 1 orphans, 0 owned" {
		t.Errorf("released: %s, %v", state(g), err)
	}
	store.marks[0].Orphan = time.Now()
	if _, g, err := l.Change(portalWith("47"), nil, nil); err != nil || state(g) != "list 47; 0 orphans, 1 owned" {
		t.Errorf("back: %s, %v", state(g), err)
	}
	store.err = errors.New("the disk is away")
	good := l.Current()
	if _, _, err := l.Load(); !errors.Is(err, store.err) || l.Current() != good {
		t.Errorf("without the ledger: %v", err)
	}
}

// TestRepeats: a rule that has done something once does not do it again under another id, while
// serve runs and after a restart.
func TestRepeats(t *testing.T) {
	rule := func(head, step string) string {
		return "version: 1\nrules:\n  " + head + "\n    on: ONCRMDEALUPDATE\n    steps:\n      - {" + step + "once: =event.count, notify: {to: 1, message: hello}}\n"
	}
	for name, tt := range map[string]struct {
		text, memory string
		refused      bool
	}{
		"a new id":               {rule("remark:", ""), "note", true},
		"without a memory":       {rule("remark:", ""), "other", false},
		"with moved":             {rule("remark:\n    moved: {from: note}", ""), "note", false},
		"the same id":            {rule("note:", ""), "note", false},
		"other steps":            {strings.Replace(rule("remark:", ""), "notify: {to: 1, message: hello}", "log: {message: x}", 1), "note", false},
		"the step gets an id":    {strings.Replace(rule("note:", "id: told, "), "notify: {to: 1, message: hello}", "call: {method: im.notify, params: {TO: 1}}", 1), "note", false},
		"a new id, another text": {strings.Replace(rule("remark:", ""), "hello", "bye", 1), "note", true},
	} {
		files := map[string]string{"a.yaml": rule("note:", "")}
		l := &Rules{Actions: actions.All, Source: memorySource(files, "a.yaml"), Portals: []config.Portal{{Name: "main"}}, Ledger: &made{memory: tt.memory}}
		if _, g, err := l.Load(); err != nil || g.Sets() != 1 {
			t.Fatalf("%v %v", g.Findings(), err)
		}
		before := Before{"main": {"a": {"a.yaml", files["a.yaml"]}}}
		files["a.yaml"] = tt.text
		restarted := &Rules{Actions: actions.All, Source: l.Source, Portals: l.Portals, Ledger: l.Ledger, Before: before}
		for what, rules := range map[string]*Rules{"a load": l, "a restart": restarted} {
			_, g, err := rules.Load()
			if err != nil || g.Doubles() != tt.refused || g.Sets() != 1 {
				t.Errorf("%s, %s: refused %t, want %t: %v, %v", name, what, g.Doubles(), tt.refused, g.Findings(), err)
			}
		}
	}
}

// TestRenamedSteps: a step with a memory under another id is refused. Another action, a step next
// to it and one without a memory are not.
func TestRenamedSteps(t *testing.T) {
	rule := func(steps ...string) string {
		return "version: 1\nrules:\n  note:\n    on: ONCRMDEALUPDATE\n    steps:\n      - " + strings.Join(steps, "\n      - ") + "\n"
	}
	const first, second = "{id: told, once: =event.count, call: {method: im.notify, params: {TO: 1, MESSAGE: hello}}}", "{id: tell, once: =event.count, call: {method: im.notify, params: {TO: 1, MESSAGE: hello}}}"
	for name, tt := range map[string]struct {
		text, memory, refused string
	}{
		"another id":       {rule(second), "note", "step tell of rule note would do again what step told has done once"},
		"no id":            {rule(strings.Replace(first, "id: told, ", "", 1)), "note", "keep id: told"},
		"without a memory": {rule(second), "other", ""},
		"another action":   {rule("{id: tell, once: =event.count, fetch_item: {owner: deal, id: =event.id}}"), "note", ""},
		"a step next to":   {rule(first, second), "note", ""},
		"another text":     {rule(strings.Replace(first, "hello", "bye", 1)), "note", ""},
		"a renamed rule":   {strings.Replace(rule(second), "  note:\n", "  remark:\n    moved: {from: note}\n", 1), "note", "step tell of rule remark would do again"},
		"the step removed": {rule("{log: {message: x}}"), "note", ""},
	} {
		files := map[string]string{"a.yaml": rule(first)}
		l := &Rules{Actions: actions.All, Source: memorySource(files, "a.yaml"), Portals: []config.Portal{{Name: "main"}}, Ledger: &made{memory: tt.memory}}
		if _, g, err := l.Load(); err != nil || g.Sets() != 1 {
			t.Fatalf("%v %v", g.Findings(), err)
		}
		files["a.yaml"] = tt.text
		_, g, err := l.Load()
		text := ""
		for _, f := range g.Findings() {
			text += f.String()
		}
		if err != nil || g.Doubles() != (tt.refused != "") || !strings.Contains(text, tt.refused) {
			t.Errorf("%s: refused %t, %q, %v", name, g.Doubles(), text, err)
		}
	}
}
