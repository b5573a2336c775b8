package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/run"
)

// dealRun is a run for deal 7.
func dealRun() run.Run {
	return run.Run{
		Portal: "main", Client: noPortal{}, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "7"},
		Event: engine.Event{Code: "ONCRMDEALUPDATE"}, Count: 1, Attempt: 1, Memory: newMemory(),
	}
}

const ruleHead = "version: 1\nrules:\n  r:\n    on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]\n"

// runSteps runs a rule whose steps are given, and whose deleted step notes
// that it ran.
func runSteps(t *testing.T, steps string, run run.Run) (*history.Trace, []saved, error) {
	t.Helper()
	var out []saved
	text := ruleHead + "    deleted:\n      - save: {entityTypeId: 9, fields: {gone: =event.id}}\n    steps:\n" + steps
	set := compileOne(t, text, &out)
	trace, err := run.Do(context.Background(), set.Rules[0])
	return trace, out, err
}

func TestRunPassesValuesOn(t *testing.T) {
	_, out, err := runSteps(t, `
      - id: rows
        make_rows: {count: 3}
      - compute:
          total: =sum(rows, .price)
          double: =total * 2
      - save:
          entityTypeId: 9
          fields:
            TITLE: "Deal {{ event.id }}: {{ total }}"
            ="A" + "B": =double
            LEFT: =omit
            CLEARED: =nil
          rows: =rows
          name: "{{ index + 1 }}. {{ row.name }}"
          each: {P: =row.price}
          sums: {n: =len(group.rows), twice: =n * 2}
          extra: {deep: {er: [1, "=={{", =total]}}
`, dealRun())
	if err != nil {
		t.Fatal(err)
	}
	price := num.MustParse("33.33")
	want := []saved{{
		Fields: engine.Fields{{Name: "TITLE", Value: "Deal 7: 99.99"}, {Name: "AB", Value: num.MustParse("199.98")}, {Name: "CLEARED"}},
		Names:  []any{"1. row 1", "2. row 2", "3. row 3"},
		Each:   []engine.Fields{{{Name: "P", Value: price}}, {{Name: "P", Value: price}}, {{Name: "P", Value: price}}},
		Sums:   engine.Fields{{Name: "n", Value: num.FromInt(3)}, {Name: "twice", Value: num.FromInt(6)}},
		Extra:  map[string]any{"deep": map[string]any{"er": []any{num.FromInt(1), "={{", num.MustParse("99.99")}}},
	}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunOutcomes(t *testing.T) {
	gone := &bitrix.Error{Method: "crm.item.get", Status: 400, Code: "NOT_FOUND", Outcome: bitrix.Executed}
	tests := []struct {
		name    string
		steps   string
		change  func(*run.Run)
		outcome history.Outcome
		saves   int
	}{
		{"steps run", "      - save: {entityTypeId: 9}\n", nil, history.Done, 1},
		{"stop ends well", "      - fail: {with: stop}\n      - save: {entityTypeId: 9}\n", nil, history.Stopped, 0},
		{"a step finds the entity gone", "      - fail: {with: gone}\n      - save: {entityTypeId: 9}\n", nil, history.Removed, 1},
		{"deleted, and the portal agrees", "      - make_rows: {count: 1}\n", func(r *run.Run) { r.Deleted, r.Client = true, noPortal{err: gone} }, history.Removed, 1},
		{"deleted, but the portal still has it", "      - make_rows: {count: 1}\n", func(r *run.Run) { r.Deleted = true }, history.Done, 0},
		{"when is false", "      - {when: =event.count > 5, save: {entityTypeId: 9}}\n", nil, history.Done, 0},
		{"for_each", "      - {for_each: '=[1, 2, 3]', save: {entityTypeId: =row}}\n", nil, history.Done, 3},
		{"on_error skip", "      - {on_error: skip, fail: {with: park}}\n      - save: {entityTypeId: 9}\n", nil, history.Done, 1},
		{"on_error steps", "      - on_error:\n          - save: {entityTypeId: 9, fields: {e: '{{ error.step }}: {{ error.message }}'}}\n        fail: {with: park}\n", nil, history.Done, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := dealRun()
			if tt.change != nil {
				tt.change(&r)
			}
			trace, out, err := runSteps(t, tt.steps, r)
			if err != nil {
				t.Fatal(err)
			}
			if trace.Outcome != tt.outcome || len(out) != tt.saves {
				t.Errorf("outcome %s with %d saves, want %s with %d", trace.Outcome, len(out), tt.outcome, tt.saves)
			}
		})
	}
}

func TestRunFailures(t *testing.T) {
	later := time.Now().Add(time.Hour)
	tests := []struct {
		name    string
		steps   string
		change  func(*run.Run)
		verdict run.Verdict
		text    string
	}{
		{"division by zero is placed", "      - compute:\n          a: =1 / (event.count - 1)\n", nil, run.Park, "rule.yaml:9:17"},
		{"an unknown failure is tried again", "      - fail: {with: oops}\n", nil, run.Retry, "step fail[1]: oops"},
		{"a step's own attempts are used up", "      - {retry: 1, fail: {with: oops}}\n", nil, run.Park, "oops"},
		{"on_error waits for the last attempt", "      - {on_error: skip, fail: {with: oops}}\n", nil, run.Retry, "oops"},
		{"an argument out of range", "      - make_rows: {count: =event.count * 9}\n", nil, run.Park, "argument count wants at most 5"},
		{"a name comes out twice", "      - save: {entityTypeId: 9, fields: {='a': 1, a: 2}}\n", nil, run.Park, `the name "a" comes out twice`},
		{"too many rows", "      - {for_each: '=[1, 2, 3]', limit: 2, save: {entityTypeId: =row}}\n", nil, run.Park, "for_each has 3 rows, its limit is 2"},
		{"one row of three fails", "      - {for_each: '=[1, 0, 2]', make_rows: {count: =round(4 / row)}}\n", nil, run.Park, "1 of 3 rows failed, row 2"},
		{"the portal says when", "      - make_rows: {count: 1}\n", func(r *run.Run) {
			r.Deleted, r.Client = true, noPortal{err: &bitrix.Error{Method: "crm.item.get", Status: 429, Code: "OPERATION_TIME_LIMIT", NotBefore: later}}
		}, run.Later, "OPERATION_TIME_LIMIT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := dealRun()
			if tt.change != nil {
				tt.change(&r)
			}
			_, _, err := runSteps(t, tt.steps, r)
			var re *run.RunError
			if !errors.As(err, &re) {
				t.Fatalf("error %v is no RunError", err)
			}
			if re.Verdict != tt.verdict || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("verdict %d: %s\nwant %d: %s", re.Verdict, err, tt.verdict, tt.text)
			}
			if tt.verdict == run.Later && !re.NotBefore.Equal(later) {
				t.Errorf("not before %s, want %s", re.NotBefore, later)
			}
		})
	}
}

func TestOnce(t *testing.T) {
	var out []saved
	set := compileOne(t, "version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - id: n\n        make_rows: {count: =event.count}\n      - once: =len(n)\n        save: {entityTypeId: 9}\n", &out)
	m := newMemory()
	for i, step := range []struct{ count, saves int }{{1, 1}, {1, 1}, {2, 2}, {1, 3}} {
		r := dealRun()
		r.Memory, r.Count = m, step.count
		if _, err := r.Do(context.Background(), set.Rules[0]); err != nil {
			t.Fatal(err)
		}
		m.once = m.staged // the run succeeded
		if len(out) != step.saves {
			t.Errorf("after run %d: %d saves, want %d", i+1, len(out), step.saves)
		}
	}
}

func TestRoute(t *testing.T) {
	set := compileOne(t, `
version: 1
rules:
  deals: {on: [ONCRMDEALADD, ONCRMDEALUPDATE], steps: [{make_rows: {count: 1}}]}
  gone: {on: [ONCRMDEALDELETE], deleted: [{make_rows: {count: 1}}]}
  invoices: {on: {events: [ONCRMDYNAMICITEMUPDATE], entityTypeId: 31}, steps: [{make_rows: {count: 1}}]}
  suffixed: {on: [ONCRMDYNAMICITEMUPDATE_1072], steps: [{make_rows: {count: 1}}]}
  other: {on: ONCRMDEALUPDATE, portals: [elsewhere], steps: [{make_rows: {count: 1}}]}
  parent: {on: ONCRMDEALUPDATE, entity: '=event.data.FIELDS.PARENT ?? 0', steps: [{make_rows: {count: 1}}]}
`, new([]saved))
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
	set := compileOne(t, `
version: 1
inputs:
  helper: {type: integer, title: helper type}
  field: {type: string, default: ufCrm5Total}
  exact: {type: boolean, default: true}
rules:
  r:
    on: {events: [ONCRMDYNAMICITEMADD], entityTypeId: 31}
    steps: [{save: {entityTypeId: =inputs.helper}}]
`, new([]saved))
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
			`input helper of rule set rule: want integer, got "1.5"`,
			`input exact of rule set rule: want true or false, got "yes"`,
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
