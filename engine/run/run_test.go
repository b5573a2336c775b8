package run_test

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
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

func TestRunPassesValuesOn(t *testing.T) {
	_, out, err := enginetest.RunSteps(t, `
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
`, enginetest.DealRun())
	if err != nil {
		t.Fatal(err)
	}
	price := num.MustParse("33.33")
	want := []enginetest.Saved{{
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
		{"deleted, and the portal agrees", "      - make_rows: {count: 1}\n", func(r *run.Run) { r.Deleted, r.Client = true, enginetest.Portal{Err: gone} }, history.Removed, 1},
		{"deleted, but the portal still has it", "      - make_rows: {count: 1}\n", func(r *run.Run) { r.Deleted = true }, history.Done, 0},
		{"when is false", "      - {when: =event.count > 5, save: {entityTypeId: 9}}\n", nil, history.Done, 0},
		{"for_each", "      - {for_each: '=[1, 2, 3]', save: {entityTypeId: =row}}\n", nil, history.Done, 3},
		{"on_error skip", "      - {on_error: skip, fail: {with: park}}\n      - save: {entityTypeId: 9}\n", nil, history.Done, 1},
		{"on_error steps", "      - on_error:\n          - save: {entityTypeId: 9, fields: {e: '{{ error.step }}: {{ error.message }}'}}\n        fail: {with: park}\n", nil, history.Done, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := enginetest.DealRun()
			if tt.change != nil {
				tt.change(&r)
			}
			trace, out, err := enginetest.RunSteps(t, tt.steps, r)
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
		{"an argument out of range", "      - make_rows: {count: =event.count * 9}\n", nil, run.Park, "argument count must be at most 5"},
		{"a name comes out twice", "      - save: {entityTypeId: 9, fields: {='a': 1, a: 2}}\n", nil, run.Park, `two fields have the name "a"`},
		{"too many rows", "      - {for_each: '=[1, 2, 3]', limit: 2, save: {entityTypeId: =row}}\n", nil, run.Park, "rule.yaml:8:20: rule r, step save[1]: for_each has 3 rows, but its limit is 2"},
		{"one row of three fails", "      - {for_each: '=[1, 0, 2]', make_rows: {count: =round(4 / row)}}\n", nil, run.Park, "1 of 3 rows failed, row 2"},
		{"the portal says when", "      - make_rows: {count: 1}\n", func(r *run.Run) {
			r.Deleted, r.Client = true, enginetest.Portal{Err: &bitrix.Error{Method: "crm.item.get", Status: 429, Code: "OPERATION_TIME_LIMIT", NotBefore: later}}
		}, run.Later, "OPERATION_TIME_LIMIT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := enginetest.DealRun()
			if tt.change != nil {
				tt.change(&r)
			}
			_, _, err := enginetest.RunSteps(t, tt.steps, r)
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
	var out []enginetest.Saved
	set := enginetest.Compile(t, "version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - id: n\n        make_rows: {count: =event.count}\n      - once: =len(n)\n        save: {entityTypeId: 9}\n", &out)
	m := &run.LocalMemory{}
	for i, step := range []struct{ count, saves int }{{1, 1}, {1, 1}, {2, 2}, {1, 3}} {
		r := enginetest.DealRun()
		r.Memory, r.Count = m, step.count
		if _, err := r.Do(context.Background(), set.Rules[0]); err != nil {
			t.Fatal(err)
		}
		m.Succeed()
		if len(out) != step.saves {
			t.Errorf("after run %d: %d saves, want %d", i+1, len(out), step.saves)
		}
	}
}
