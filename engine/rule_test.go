package engine_test

import (
	"reflect"
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/enginetest"
	"github.com/google/go-cmp/cmp"
)

func TestRoute(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
rules:
  deals: {on: [ONCRMDEALADD, ONCRMDEALUPDATE], steps: [{make_rows: {count: 1}}]}
  gone: {on: [ONCRMDEALDELETE], deleted: [{make_rows: {count: 1}}]}
  invoices: {on: {events: [ONCRMDYNAMICITEMUPDATE], entityTypeId: 31}, steps: [{make_rows: {count: 1}}]}
  suffixed: {on: [ONCRMDYNAMICITEMUPDATE_1072], steps: [{make_rows: {count: 1}}]}
  other: {on: ONCRMDEALUPDATE, portals: [elsewhere], steps: [{make_rows: {count: 1}}]}
  parent: {on: ONCRMDEALUPDATE, entity: '=event.data.FIELDS.PARENT ?? 0', steps: [{make_rows: {count: 1}}]}
`, new([]enginetest.Saved))
	fields := func(kv ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return map[string]any{"FIELDS": m}
	}
	tests := []struct {
		code string
		data map[string]any
		want []string
	}{
		{"ONCRMDEALADD", fields("ID", "7"), []string{"deals deal:7 added"}},
		{"onCrmDealUpdate", fields("ID", "7", "PARENT", "12"), []string{"deals deal:7", "parent deal:12"}},
		{"ONCRMDEALDELETE", fields("ID", "007"), []string{"gone deal:7 deleted"}},
		{"ONCRMDYNAMICITEMUPDATE", fields("ID", "3", "ENTITY_TYPE_ID", "31"), []string{"invoices item:31:3"}},
		{"ONCRMDYNAMICITEMUPDATE", fields("ID", "3", "ENTITY_TYPE_ID", "1038"), nil},
		{"ONCRMDYNAMICITEMUPDATE_1072", fields("ID", "3", "ENTITY_TYPE_ID", "1072"), []string{"suffixed item:1072:3"}},
		{"ONCRMDEALUPDATE", fields("ID", "7; drop"), nil},
		{"ONCRMDEALUPDATE", fields("ID", "-7"), nil},
		{"ONCRMDEALUPDATE", nil, nil},
		{"ONCRMNOSUCH", fields("ID", "7"), nil},
	}
	for _, tt := range tests {
		var got []string
		for _, r := range set.Route("main", engine.Event{Code: tt.code, Data: tt.data}, nil) {
			s := r.Rule.ID + " " + r.Entity.String()
			if r.Added {
				s += " added"
			}
			if r.Deleted {
				s += " deleted"
			}
			got = append(got, s)
			if back, err := engine.ParseEntity(r.Entity.String()); err != nil || back != r.Entity {
				t.Errorf("ParseEntity(%s) = %+v, %v", r.Entity, back, err)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tt.code, tt.data, diff)
		}
	}
}

func TestBindInputs(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
inputs:
  helper: {type: integer, title: helper type}
  field: {type: string, default: ufCrm5Total}
  exact: {type: boolean, default: true}
rules:
  r:
    on: {events: [ONCRMDYNAMICITEMADD], entityTypeId: 31}
    steps: [{save: {entityTypeId: =inputs.helper}}]
`, new([]enginetest.Saved))
	values, problems := set.BindInputs(map[string]string{"helper": "1038"})
	want := map[string]any{"helper": num.FromInt(1038), "field": "ufCrm5Total", "exact": true}
	if diff := cmp.Diff(want, values); diff != "" || len(problems) > 0 || len(lint.BindProblems(set, values)) > 0 {
		t.Errorf("(-want +got):\n%s\nproblems %v", diff, problems)
	}
	for _, tt := range []struct {
		given map[string]string
		want  []string
	}{
		{nil, []string{"input helper (integer) of rule set rule is not set"}},
		{map[string]string{"helper": "1.5", "feild": "x", "exact": "yes"}, []string{
			`input helper of rule set rule must be an integer, not "1.5"`,
			`input exact of rule set rule must be true or false, not "yes"`,
			"rule set rule has no input feild",
		}},
	} {
		_, problems := set.BindInputs(tt.given)
		var got []string
		for _, p := range problems {
			got = append(got, p.Finding.Text())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	values, _ = set.BindInputs(map[string]string{"helper": "31"})
	if p := lint.BindProblems(set, values); len(p) != 1 || p[0].Name != "helper" {
		t.Errorf("a helper type that the rule hears gives %v", p)
	}
}

// TestRunsEarly checks which rules may run before their entity is quiet.
func TestRunsEarly(t *testing.T) {
	update := engine.Touch{Kind: engine.TouchItems, Updates: true, Compares: true}
	for _, tt := range []struct {
		name  string
		touch []engine.Touch
		once  bool
		want  bool
	}{
		{"an update that compares", []engine.Touch{update}, false, true},
		{"once", []engine.Touch{update}, true, false},
		{"a write without a comparison", []engine.Touch{{Adds: true}}, false, false},
		{"an effect outside", nil, false, false},
		{"a deletion", []engine.Touch{{Deletes: true}}, false, false},
		{"a sync", []engine.Touch{{Adds: true, Updates: true, Compares: true, Syncs: true}}, false, false},
	} {
		step := &engine.Step{Types: &engine.ArgTypes{}, Action: &engine.Action{Spec: engine.Spec[reflect.Value]{Effect: engine.Writes, Touches: func(*engine.ArgTypes) []engine.Touch { return tt.touch }}}}
		if tt.once {
			step.Remembers = true
		}
		for place, rule := range map[string]*engine.Rule{"steps": {Steps: []*engine.Step{step}}, "deleted": {Deleted: []*engine.Step{step}}} {
			if got := rule.RunsEarly(); got != tt.want {
				t.Errorf("%s in %s: %v", tt.name, place, got)
			}
		}
	}
}
