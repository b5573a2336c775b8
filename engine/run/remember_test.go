package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// A diary runs one rule for deal 7 again and again. The state of the deal is the data of
// the event: event.data.stage and so on.
type diary struct {
	t      *testing.T
	memory *run.LocalMemory
	rule   *engine.Rule
	out    []enginetest.Saved
	wake   time.Time // of the next run
	gone   bool      // the entity of the next run does not exist
	change func(*run.Run)
}

func newDiary(t *testing.T, steps string) *diary {
	d := &diary{t: t, memory: &run.LocalMemory{}}
	d.edit(steps)
	return d
}

// edit changes the file. The memory stays.
func (d *diary) edit(steps string) {
	d.t.Helper()
	d.rule = enginetest.Compile(d.t, enginetest.Head+"    deleted:\n      - once: =event.id\n        save: {entityTypeId: 9, fields: {it: =\"gone\"}}\n"+steps, &d.out).Rules[0]
}

// run runs the rule and returns what it saved under the name it.
func (d *diary) run(data map[string]any) (saved string, err error) {
	r := enginetest.DealRun()
	r.Memory, r.Event.Data = d.memory, data
	if d.change != nil {
		d.change(&r)
	}
	d.out = nil
	d.memory.Begin()
	if _, err = r.Do(context.Background(), d.rule); err == nil {
		d.gone = d.memory.Gone
		_, d.wake = d.memory.Succeed()
	}
	var all []string
	for _, s := range d.out {
		v, _ := s.Fields.Get("it")
		all = append(all, fmt.Sprint(v))
	}
	return strings.Join(all, " "), err
}

// expect runs the rule once for each "stage: what is saved".
func (d *diary) expect(all ...string) {
	d.t.Helper()
	for _, one := range all {
		stage, want, _ := strings.Cut(one, ": ")
		got, err := d.run(map[string]any{"stage": stage})
		if err != nil || got != want {
			d.t.Errorf("%s: saved %q, %v, want %q", stage, got, err, want)
		}
	}
}

// unreadable is a memory that cannot be read.
type unreadable struct{ *run.LocalMemory }

func (unreadable) Get(context.Context, string) (string, bool, error) {
	return "", false, errors.New("the memory is asked")
}

const won = `    steps:
      - entered: =event.data.stage == "WON"
        save: {entityTypeId: 9, fields: {it: won}}
`

func TestEntered(t *testing.T) {
	d := newDiary(t, won)
	d.expect("WON: won", "WON: ", "EXECUTING: ", "WON: won", "WON: ", "NEW: ", "WON: won")

	t.Run("a failed run remembers nothing", func(t *testing.T) {
		d := newDiary(t, won+"      - when: =event.data.stage == \"WON\" && event.count == 1\n        fail: {with: oops}\n")
		if _, err := d.run(map[string]any{"stage": "WON"}); err == nil {
			t.Fatal("no failure")
		}
		d.change = func(r *run.Run) { r.Count = 2 }
		d.expect("WON: won", "WON: ")
	})

	t.Run("a step that is not reached counts as false", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - when: =event.data.stage == \"STOP\"\n        fail: {with: stop}\n"+strings.TrimPrefix(won, "    steps:\n"))
		d.expect("WON: won", "STOP: ", "WON: won")
	})

	t.Run("when is false", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - when: =event.count == 1\n        entered: =event.data.stage == \"WON\"\n        save: {entityTypeId: 9, fields: {it: won}}\n")
		d.expect("WON: won", "WON: ")
		d.change = func(r *run.Run) { r.Count = 2 }
		d.expect("WON: ")
		d.change = nil
		d.expect("WON: won")
	})

	t.Run("the rule's when is false", func(t *testing.T) {
		d := newDiary(t, "    when: =event.count == 1\n"+won)
		d.expect("WON: won")
		d.change = func(r *run.Run) { r.Count = 2 }
		d.expect("NEW: ", "WON: ")
		d.change = nil
		d.expect("WON: ")
	})

	t.Run("a step that failed and was skipped has not run", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - entered: =event.data.stage == \"WON\"\n        fail: {with: oops}\n        on_error: [{save: {entityTypeId: 9, fields: {it: instead}}}]\n")
		d.change = func(r *run.Run) { r.LastAttempt = true }
		d.expect("WON: instead", "WON: instead")
	})

	t.Run("a run that repairs", func(t *testing.T) {
		d := newDiary(t, won)
		d.change = func(r *run.Run) { r.Quiet = true }
		d.expect("WON: ", "WON: ", "NEW: ", "WON: won")
	})
}

// TestMemoryOfAMovedStep: a step that is put above another one, or a changed order,
// takes no memory away and gives none to another step.
func TestMemoryOfAMovedStep(t *testing.T) {
	const once = "      - once: =event.data.stage\n        save: {entityTypeId: 9, fields: {it: =\"new \" + string(event.data.stage)}}\n"
	const other = "      - once: =event.count\n        save: {entityTypeId: 9, fields: {it: other}}\n"
	d := newDiary(t, "    steps:\n"+once)
	d.expect("WON: new WON", "WON: ")
	d.edit("    steps:\n" + other + once)
	d.expect("WON: other", "WON: ", "LOST: new LOST")
	d.edit("    steps:\n" + once + other + once)
	d.expect("LOST: new LOST", "LOST: ") // of two equal steps the second is new
	d.edit("    steps:\n      - id: told\n        make_rows: {count: 1}\n        once: =event.data.stage\n      - compute: {n: '=len(told ?? [])'}\n      - save: {entityTypeId: 9, fields: {it: =n}}\n")
	d.expect("LOST: 1", "LOST: 0")
	d.edit("    steps:\n      - make_rows: {count: 1}\n      - id: told\n        make_rows: {count: 1}\n        once: =event.data.stage + \"\"\n      - compute: {n: '=len(told ?? [])'}\n      - save: {entityTypeId: 9, fields: {it: =n}}\n")
	d.expect("LOST: 0") // a step with an id may be written in another way
	const rows = "make_rows: {count: 1}\n        once: =event.data.stage\n"
	d = newDiary(t, "    steps:\n      - "+rows+"      - save: {entityTypeId: 9, fields: {it: x}}\n")
	d.expect("WON: x")
	d.edit("    steps:\n      - id: told\n        " + rows + "      - compute: {n: '=len(told ?? [])'}\n      - save: {entityTypeId: 9, fields: {it: =n}}\n")
	d.expect("WON: 0", "LOST: 1") // it has got its id, and keeps its memory
}

// TestMemoryOfThePreviousVersion: values of once are stored under labels there. They are
// read, and then no other step finds them.
func TestMemoryOfThePreviousVersion(t *testing.T) {
	const once = "      - once: =event.data.stage\n        save: {entityTypeId: 9, fields: {it: told}}\n"
	d := newDiary(t, "    steps:\n"+once)
	d.memory.Values = map[string]string{"save[1]": "text:WON"}
	d.expect("WON: ", "WON: ", "LOST: told")
	d.edit("    steps:\n      - once: =event.data.stage + \"\"\n        save: {entityTypeId: 9, fields: {it: other}}\n" + once)
	d.expect("LOST: other", "LOST: ")

	d = newDiary(t, "    steps:\n      - when: =event.count == 1\n        make_rows: {count: 1}\n"+once)
	d.memory.Values = map[string]string{"save[2]": "text:WON"}
	d.expect("WON: ")
	if _, old := d.memory.Values["save[2]"]; old || len(d.memory.Values) != 1 {
		t.Errorf("remembered %v, want one value under the new key", d.memory.Values)
	}
}

func TestOnceOfRows(t *testing.T) {
	d := newDiary(t, `    steps:
      - for_each: =event.data.rows
        once: =row.id + row.name
        save: {entityTypeId: 9, fields: {it: =row.name}}
`)
	rows := func(names ...string) map[string]any {
		var out []any
		for i, n := range names {
			out = append(out, map[string]any{"id": fmt.Sprint(i), "name": n})
		}
		return map[string]any{"rows": out}
	}
	for i, tt := range []struct {
		names []string
		want  string
	}{
		{[]string{"a", "b"}, "a b"},
		{[]string{"a", "b"}, ""},
		{[]string{"a", "c", "b"}, "c b"},
		{[]string{"a"}, ""},
		{[]string{"a", "c"}, "c"},
		{nil, ""},
		{[]string{"a", "b"}, "a b"},
	} {
		got, err := d.run(rows(tt.names...))
		if err != nil || got != tt.want {
			t.Errorf("run %d: saved %q, %v, want %q", i+1, got, err, tt.want)
		}
	}
	if _, err := d.run(rows(make([]string, 1000)...)); err != nil {
		t.Errorf("1,000 rows, the limit of for_each: %v", err)
	}
	d.edit(`    steps:
      - for_each: =event.data.rows
        limit: 2000
        once: =row.id + row.name
        save: {entityTypeId: 9, fields: {it: =row.name}}
`)
	if _, err := d.run(rows(make([]string, 1500)...)); err == nil || !strings.Contains(err.Error(), "the values of once of 1500 rows") {
		t.Errorf("more rows than fit into the memory: %v", err)
	}
}

func TestBefore(t *testing.T) {
	d := newDiary(t, `    steps:
      - compute: {stage: =event.data.stage, deep: "={inner: {at: event.time, n: 0.1}}"}
      - save: {entityTypeId: 9, fields: {it: '="{" + string(before.stage ?? "-") + " " + string(before.deep.inner.n ?? 0) + " " + string(yearOf(before.deep.inner.at ?? event.time)) + " " + string(before.trail ?? "-") + "}"'}}
      - compute: {trail: '=string(before.trail ?? "") + string(stage)'}
`)
	d.expect("A: {- 0 1 -}", "B: {A 0.1 1 A}", "C: {B 0.1 1 AB}")
	if len(d.memory.Values) != 1 {
		t.Errorf("remembered %v, want one value", d.memory.Values)
	}
	if got, err := d.run(map[string]any{"stage": strings.Repeat("x", 17<<10)}); err == nil || !strings.Contains(err.Error(), "for before.trail") || got == "" {
		t.Errorf("more than fits: %q, %v", got, err)
	} else if re := (*run.RunError)(nil); !errors.As(err, &re) || re.Verdict != run.Park {
		t.Errorf("%v does not park the run", err)
	}
	d.expect("D: {C 0.1 1 ABC}")

	t.Run("in deleted", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - compute: {stage: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: =stage}}\n")
		set := enginetest.Compile(t, enginetest.Head+"    deleted:\n      - save: {entityTypeId: 9, fields: {it: '=\"was \" + string(before.stage ?? \"-\")'}}\n    steps:\n      - compute: {stage: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: =stage}}\n", &d.out)
		d.rule = set.Rules[0]
		d.expect("A: A")
		d.change = func(r *run.Run) { r.Deleted, r.Entity.TypeID = true, 0 }
		d.expect("A: was A", "A: was -")
	})

	t.Run("a rule whose when is false asks for nothing", func(t *testing.T) {
		d := newDiary(t, "    when: =event.count > 5\n    steps:\n      - compute: {stage: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: '=before.stage ?? stage'}}\n")
		r := enginetest.DealRun()
		r.Memory = unreadable{d.memory}
		if trace, err := r.Do(context.Background(), d.rule); err != nil || trace.Outcome != history.Skipped {
			t.Errorf("%s, %v", trace.Outcome, err)
		}
	})

	t.Run("a name of on_error", func(t *testing.T) {
		d := newDiary(t, `    steps:
      - when: =event.data.stage != "GOOD"
        fail: {with: oops}
        on_error: [{compute: {failed: =event.data.stage}}]
      - save: {entityTypeId: 9, fields: {it: '=before.failed ?? "-"'}}
`)
		d.change = func(r *run.Run) { r.LastAttempt = true }
		d.expect("BAD: -", "GOOD: BAD", "GOOD: -")
	})

	t.Run("another type", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - compute: {x: =\"text\"}\n      - save: {entityTypeId: 9, fields: {it: '=before.x ?? x'}}\n")
		d.expect("A: text", "A: text")
		d.edit("    steps:\n      - compute: {x: =event.count}\n      - save: {entityTypeId: 9, fields: {it: '=(before.x ?? 0) + x'}}\n")
		d.expect("A: 1", "A: 2")
	})

	t.Run("a file with its own name before", func(t *testing.T) {
		d := newDiary(t, "    steps:\n      - compute: {before: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: =before}}\n")
		d.expect("A: A", "B: B")
	})
}

// TestMemoryOfADeletedEntity: it goes with the success of the run, except for what the
// deleted steps remember.
func TestMemoryOfADeletedEntity(t *testing.T) {
	d := newDiary(t, won)
	d.expect("WON: won")
	d.change = func(r *run.Run) { r.Deleted, r.Entity.TypeID = true, 0 }
	d.expect("x: gone", "x: ", "x: ")
	d.change = nil
	d.expect("WON: won")
}
