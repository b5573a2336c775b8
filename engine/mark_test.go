package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
)

type keepArgs struct {
	List   int              `yaml:"list" doc:"the list"`
	Owner  string           `yaml:"owner" doc:"the type"`
	ID     any              `yaml:"id" doc:"the record"`
	Scope  engine.Fields    `yaml:"scope" doc:"the scope"`
	Rows   []any            `yaml:"rows" doc:"the rows"`
	Key    engine.RowValue  `yaml:"key" rows:"rows" doc:"the key"`
	Fields engine.RowFields `yaml:"fields" rows:"rows" doc:"the fields"`
}

// keeping is an action that touches records.
func keeping(name string, t engine.Touch) *engine.Action {
	return engine.Define(engine.Spec[keepArgs]{
		Name: name, Effect: engine.Writes, Doc: "keep records", Says: "keeps",
		Run:     func(context.Context, *engine.Call, keepArgs) (any, error) { return nil, nil },
		Touches: func(*engine.ArgTypes) []engine.Touch { return []engine.Touch{t} },
	})
}

// marksOf compiles a rule with steps and returns the marks.
func marksOf(t *testing.T, head, steps string, inputs map[string]any) []engine.Mark {
	t.Helper()
	all := []*engine.Action{
		keeping("keep", engine.Touch{Kind: engine.TouchElements, Of: "list", Adds: true, Updates: true, Which: "scope", Fields: "fields", Compares: true}),
		keeping("keep_items", engine.Touch{Kind: engine.TouchItems, Of: "owner", Adds: true, Which: "key", Fields: "fields", Key: "scope", Compares: true}),
		keeping("change", engine.Touch{Kind: engine.TouchItems, Of: "owner", Updates: true, Which: "id", Fields: "fields", Compares: true}),
		keeping("read", engine.Touch{Kind: engine.TouchItems, Of: "owner", Reads: true}),
		keeping("wipe", engine.Touch{Kind: engine.TouchElements, Of: "list", Deletes: true}),
		engine.Define(engine.Spec[engine.Names]{
			Name: "compute", Effect: engine.Pure, Doc: "compute", Says: "computes", Spread: true,
			Run: func(context.Context, *engine.Call, engine.Names) (any, error) { return nil, nil },
		}),
	}
	text := "version: 1\n" + head + "rules:\n  note:\n    on: ONCRMDEALUPDATE\n    steps:\n" + steps
	set, list := load.File("a.yaml", []byte(text), all)
	if set == nil {
		t.Fatalf("%s\n%v", text, list)
	}
	return set.Rules[0].Marks(inputs)
}

func TestMarks(t *testing.T) {
	head := "inputs: {list: {type: integer}, name: {type: string, default: DEAL}}\nvars: {prefix: D-, whole: '=vars.prefix + inputs.name'}\n"
	inputs := map[string]any{"list": num.FromInt(47), "name": "DEAL"}
	const one = "      - keep: {list: =inputs.list, scope: {=inputs.name: =event.id}, rows: [{id: 1}], key: =row.id, fields: {NAME: x, =inputs.name: y}}\n"
	got := marksOf(t, head, one+
		"      - {change: {owner: deal, id: =event.id, fields: {title: x}}}\n"+
		"      - keep: {list: =event.id, scope: {DEAL: 1}}\n"+
		"      - read: {owner: deal}\n"+
		"      - wipe: {list: 47}\n"+
		"      - keep_items: {owner: lead, scope: {title: x}, fields: {name: y}}\n", inputs)
	var texts []string
	for _, m := range got {
		step, _, _ := strings.Cut(m.Step, "#")
		texts = append(texts, fmt.Sprintf("%s %s %s %q owner %s, scope %s, key %s, fields %s at %s", m.Rule, step, m.Kind, m.Place, m.Owner, m.Scope, m.Key, strings.Join(m.Fields, " "), m.Pos))
	}
	if diff := cmp.Diff([]string{
		`note keep elements "list:47" owner note, scope {=inputs.name: =event.id}, key =row.id, fields NAME DEAL at a.yaml:8:9`,
		`note change fields "item:2" owner , scope , key , fields title at a.yaml:9:10`,
		`note keep elements "" owner note, scope {DEAL: 1}, key , fields  at a.yaml:10:9`,
		`note keep_items items "item:1" owner , scope {title: x}, key , fields name title at a.yaml:13:9`,
	}, texts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	first := got[0]
	for _, tt := range []struct {
		name, head, steps string
		inputs            map[string]any
		finds             bool
	}{
		{"blanks and other fields", head, strings.ReplaceAll(one, "=row.id", "=  row.id ") + strings.Replace(one, "NAME: x", "NAME: z", 1), inputs, true},
		{"the name itself", head, strings.Replace(one, "=inputs.name: =event.id", "DEAL: =event.id", 1), inputs, true},
		{"another step before it", head, "      - read: {owner: deal}\n" + one, inputs, true},
		{"another key", head, strings.Replace(one, "=row.id", "=row.id + 1", 1), inputs, false},
		{"another scope", head, strings.Replace(one, "=event.id}", "=event.id, KIND: 1}", 1), inputs, false},
		{"another list", head, one, map[string]any{"list": num.FromInt(48), "name": "DEAL"}, false},
		{"another property", head, one, map[string]any{"list": num.FromInt(47), "name": "ORDER"}, false},
		{"a list that only a run knows", head, strings.Replace(one, "=inputs.list", "=event.id", 1), inputs, true},
	} {
		if m := marksOf(t, tt.head, tt.steps, tt.inputs); m[0].Finds(first) != tt.finds {
			t.Errorf("%s: finds %t, want %t\n%+v\n%+v", tt.name, !tt.finds, tt.finds, m[0], first)
		}
	}
	// What a key takes from computed names and constants is a part of it.
	key := func(head, value, key string) engine.Mark {
		return marksOf(t, head, "      - compute: {code: '"+value+"'}\n      - keep: {list: 47, scope: {DEAL: =event.id}, rows: [], key: '"+key+"', fields: {NAME: x}}\n", inputs)[0]
	}
	was := key(head, "=vars.whole + string(event.id)", "=code")
	if !key(head, "=vars.whole + string(event.id)", "= code").Finds(was) {
		t.Error("the same key is not found")
	}
	for what, m := range map[string]engine.Mark{
		"another computed value": key(head, "=vars.whole + string(event.count)", "=code"),
		"another constant":       key(strings.Replace(head, "D-", "E-", 1), "=vars.whole + string(event.id)", "=code"),
		"text":                   key(head, "=vars.whole + string(event.id)", "x{{ code }}"),
		"a list":                 key(head, "=vars.whole + string(event.id)", "a"),
	} {
		if m.Finds(was) {
			t.Errorf("%s has the same identity", what)
		}
	}
	// A digest of another form is believed for the same text of the file.
	old := first
	old.Identity = "0-x"
	if !first.Finds(old) {
		t.Error("the digest of another version of the program is not found")
	}
	if old.Version = "other"; first.Finds(old) {
		t.Error("the digest of another version of the program is found for another text")
	}
}
