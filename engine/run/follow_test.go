package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// The traps of rules that remember, start and sleep. For each one its cure was taken out
// once, and the test failed (in internal/queue on SQLite, which stopped at the first failure):
//
//   - a ring of starts writes nothing: a start counts as a write (TestACycleOfStartsIsCut)
//   - each rule about the portal has another entity (TestStarts)
//   - a first look starts nothing (TestLook)
//   - the memory of a step has its id or text as key (TestMemoryOfAMovedStep), and the key of
//     the previous version is read and moved (TestMemoryOfThePreviousVersion)
//   - an entity that is named no more is started once more, a deleted one starts all of them
//     (TestStarts)
//   - a condition that a run does not reach counts as false, and a run that repairs remembers it
//     (TestEntered)
//   - a look takes nothing from a live run (TestALookTakesNothingFromALiveRun), runs no step with
//     once, and takes times that have passed for done (TestLook)
//   - late ends; the earliest time counts; a time is rounded up to what the database stores;
//     another offset is the same time; a run that finds its entity gone plans nothing (TestAt)
//   - before and starts have at most 16 KiB (TestBefore, TestStartsThatFail), once of rows, too, and
//     it forgets rows that have gone (TestOnceOfRows); a value of another type is none (TestBefore)
//
//   - what a step has done belongs to its value of once or its time (TestEffectsOfAnotherValue)
//
// In internal/queue:
//
//   - the start by a backfill makes no waiting backfill live (StartsOfABackfill)
//   - an event takes back the opening time of a sleeper, or the ceiling never holds; a
//     backfill brings a sleeper forward; a sleeper keeps its event; it takes nothing from an event
//     that came during the run; repeated by a person, it has not waited for its time (Sleepers)
//   - sleepers have their own state (AClockThatWasSetBack), and know that their entity does not exist
//     (ASleeperOfADeletedEntity)
//   - the times of a run that a fast clock has stored are taken back (AnEventOfAFastClock)
//   - the due time of a backfill that an event joins (LiveRunsGoBeforeBackfill)
//   - a failed run starts and plans nothing (AFailedRunStartsNothing, which does not end)
//   - the end of a run changes the started entities in the order of their keys, with its own in
//     its place (TestOrderOfStarts)
//   - a changed rule wakes only runs that sleep, and a person who repeats one has its first event in the
//     past (Sleepers); a run that awaits an event starts with it (ARunThatAwaitsAnEvent)
//
// In internal/app/service:
//
//   - a started run waits for the debounce of its rule (TestStartedRunsWait)
//   - a look waits for events on their way, also for those of listed items (TestEventBehindALook)
//   - sleeping runs of a removed rule are held at once, a renamed rule has no second look (sleep_test.go)
//   - an item that a started run has counted before its first run starts that run when it leaves
//     (TestItemLeavesBeforeItsFirstRun)
//
// In internal/ledger: a renamed rule gives its waiting runs what those of the old one know (TestMoveRule).

type startArgs struct {
	Rule string `yaml:"rule" doc:"rule"`
	IDs  []int  `yaml:"ids" doc:"ids"`
}

// startRules compiles rules about deals that may start others with the action begin.
func startRules(t *testing.T, text string) *engine.RuleSet {
	t.Helper()
	begin := engine.Define(engine.Spec[startArgs]{
		Name: "begin", Doc: "starts a rule", Starts: true,
		Run: func(_ context.Context, c *engine.Call, a startArgs) (any, error) { return nil, c.Start(a.Rule, a.IDs) },
	})
	set, list := load.File("rule.yaml", []byte("version: 1\nrules:\n"+text), append(enginetest.Actions(new([]enginetest.Saved)), begin))
	if list.HasErrors() {
		t.Fatalf("findings: %v", list)
	}
	return set
}

func finder(set *engine.RuleSet) func(id string) *engine.Rule {
	return func(id string) *engine.Rule {
		for _, r := range set.Rules {
			if r.ID == id {
				return r
			}
		}
		return nil
	}
}

func startsText(starts []engine.Start) string {
	var all []string
	for _, s := range starts {
		all = append(all, s.Rule+" "+s.Entity.String())
	}
	return strings.Join(all, ", ")
}

const startingRules = `  child:
    on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]
    steps:
      - when: =event.data.stop == "yes"
        fail: {with: stop}
      - when: =event.data.gone == "yes"
        fail: {with: gone}
      - begin: {rule: parent, ids: '=map(event.data.ids, int(#))'}
      - when: =event.data.portal == "yes"
        begin: {rule: all}
  parent:
    about: company
    steps: [{save: {entityTypeId: 9}}]
  all:
    about: portal
    steps: [{save: {entityTypeId: 9}}]
`

type sayArgs struct {
	Text string `yaml:"text" doc:"text"`
}

// TestEffectsOfAnotherValue: a step has acted for a value or a time, and its run fails. The next
// attempt finds another value, and acts for it, too; rows may come in another order.
func TestEffectsOfAnotherValue(t *testing.T) {
	var said []string
	say := engine.Define(engine.Spec[sayArgs]{
		Name: "say", Doc: "says a text", Effect: engine.Writes,
		Run: func(ctx context.Context, c *engine.Call, a sayArgs) (any, error) {
			if done, err := c.Memory.Done(ctx, c.Key); done || err != nil {
				return nil, err
			}
			said = append(said, a.Text)
			return nil, c.Memory.MarkDone(ctx, c.Key)
		},
	})
	set, list := load.File("rule.yaml", []byte(`version: 1
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - once: =event.data.sum
        say: {text: "=event.data.sum"}
      - at: =date(event.data.time)
        say: {text: "=event.data.time"}
      - for_each: =event.data.rows
        once: =row
        say: {text: =row}
      - when: =event.data.fail == "yes"
        fail: {with: later}
`), append(enginetest.Actions(new([]enginetest.Saved)), say))
	if list.HasErrors() {
		t.Fatal(list)
	}
	m := &run.LocalMemory{}
	r := enginetest.DealRun()
	r.Memory, r.Now = m, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m.Begin()
	for i, tt := range []struct {
		sum, time, fail string
		rows            []any
		want            string
	}{
		{"10", "2026-05-01T10:00:00Z", "yes", []any{"a", "b", "a"}, "10 2026-05-01T10:00:00Z a b a"},
		{"10", "2026-05-01T10:00:00Z", "yes", []any{"b", "a", "a"}, ""},
		{"20", "2026-05-01T11:00:00Z", "yes", []any{"c", "b"}, "20 2026-05-01T11:00:00Z c"},
		{"20", "2026-05-01T11:00:00Z", "no", []any{"c", "b"}, ""},
	} {
		said = nil
		r.Event.Data = map[string]any{"sum": tt.sum, "time": tt.time, "fail": tt.fail, "rows": tt.rows}
		if _, err := r.Do(context.Background(), set.Rules[0]); (err != nil) != (tt.fail == "yes") {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
		if got := strings.Join(said, " "); got != tt.want {
			t.Errorf("attempt %d said %q, want %q", i+1, got, tt.want)
		}
		if tt.fail == "yes" {
			m.Fail()
		}
	}
}

// TestStarts: a run starts what it names, and once more what the last one has named.
func TestStarts(t *testing.T) {
	set := startRules(t, startingRules)
	m := &run.LocalMemory{}
	for i, tt := range []struct {
		data    map[string]any
		want    string
		deleted bool
		look    bool
	}{
		{data: map[string]any{"ids": []any{"1", "2"}}, want: "parent company:1, parent company:2"},
		{data: map[string]any{"ids": []any{"2", "3"}}, want: "parent company:2, parent company:3, parent company:1"},
		{data: map[string]any{"ids": []any{"3"}, "portal": "yes"}, want: "all portal:all, parent company:3, parent company:2"},
		{data: map[string]any{"stop": "yes", "ids": []any{"3"}}, want: "all portal:all, parent company:3"},
		{data: map[string]any{"ids": []any{}}, want: ""},
		{data: map[string]any{"ids": []any{"7"}}, want: "parent company:7"},
		{data: map[string]any{"gone": "yes", "ids": []any{"7"}}, want: "", look: true}, // it leaves the memory to the run of the deletion
		{data: map[string]any{"gone": "yes", "ids": []any{"7"}}, want: "parent company:7"},
		{data: map[string]any{"ids": []any{"8"}}, want: "parent company:8"},
		{data: map[string]any{"ids": []any{}}, want: "parent company:8", deleted: true},
		{data: map[string]any{"ids": []any{}}, want: "", deleted: true},
	} {
		r := enginetest.DealRun()
		r.Memory, r.Event.Data, r.Rule = m, tt.data, finder(set)
		if r.Deleted = tt.deleted; tt.deleted {
			r.Entity.TypeID = 0 // the event alone decides
		}
		if r.Look = tt.look; tt.look {
			r.DryRun = &dryrun.Run{}
		}
		m.Begin()
		trace, err := r.Do(context.Background(), set.Rules[0])
		if err != nil {
			t.Fatalf("run %d: %v", i+1, err)
		}
		starts, _ := m.Succeed()
		if got := startsText(starts); got != tt.want {
			t.Errorf("run %d starts %s, want %s (%v)", i+1, got, tt.want, trace.Follows)
		}
	}
}

func TestStartsThatFail(t *testing.T) {
	set := startRules(t, startingRules)
	r := enginetest.DealRun()
	r.Event.Data = map[string]any{"ids": []any{"1"}}
	for _, find := range []func(string) *engine.Rule{nil, func(string) *engine.Rule { return nil }} {
		r.Rule, r.Memory = find, &run.LocalMemory{}
		if _, err := r.Do(context.Background(), set.Rules[0]); err == nil || !strings.Contains(err.Error(), `rule "parent" is not among the rules`) {
			t.Errorf("without the rule: %v", err)
		}
	}
	many := make([]any, 2000)
	for i := range many {
		many[i] = fmt.Sprint(i + 1)
	}
	m := &run.LocalMemory{}
	r.Rule, r.Memory, r.Event.Data = finder(set), m, map[string]any{"ids": many}
	if _, err := r.Do(context.Background(), set.Rules[0]); err == nil || !strings.Contains(err.Error(), "more than 16 KiB") {
		t.Errorf("more than fits into the memory: %v", err)
	}
}

// TestACycleOfStartsIsCut: a start counts as a write of the started entity.
func TestACycleOfStartsIsCut(t *testing.T) {
	set := startRules(t, `  a:
    about: deal
    steps: [{begin: {rule: b, ids: [8]}}]
  b:
    about: deal
    steps: [{begin: {rule: a, ids: [7]}}]
`)
	guard := &run.LoopGuard{}
	memories := map[string]*run.LocalMemory{}
	next := engine.Start{Rule: "a", Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "7"}}
	for i := range 100 {
		m := memories[next.Rule]
		if m == nil {
			m = &run.LocalMemory{}
			memories[next.Rule] = m
		}
		r := enginetest.DealRun()
		r.Memory, r.Rule, r.Guard, r.Entity = m, finder(set), guard, next.Entity
		m.Begin()
		if _, err := r.Do(context.Background(), finder(set)(next.Rule)); err != nil {
			if i != 25 || !strings.Contains(err.Error(), "have started each other") {
				t.Errorf("run %d: %v", i+1, err)
			}
			return
		}
		starts, _ := m.Succeed()
		next = starts[0]
	}
	t.Error("100 runs have started each other")
}

const reminder = `    steps:
      - at: {time: '=event.data.end == "" ? nil : date(event.data.end)', late: 2h}
        save: {entityTypeId: 9, fields: {it: reminded}}
      - at: '=event.data.end == "" ? nil : addDays(date(event.data.end), 1)'
        save: {entityTypeId: 9, fields: {it: after}}
`

func TestAt(t *testing.T) {
	at := func(text string) time.Time {
		tm, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	for _, tt := range []struct {
		name string
		runs [][4]string // the present, the end, what is saved, when the next run is due
	}{
		{"each time once", [][4]string{
			{"2026-05-01T00:00", "2026-05-02T09:00:00Z", "", "2026-05-02T09:00"},
			{"2026-05-01T12:00", "2026-05-02T09:00:00Z", "", "2026-05-02T09:00"},
			{"2026-05-02T09:00", "2026-05-02T09:00:00Z", "reminded", "2026-05-03T09:00"},
			{"2026-05-02T09:01", "2026-05-02T09:00:00Z", "", "2026-05-03T09:00"},
			{"2026-05-03T10:00", "2026-05-02T09:00:00Z", "after", ""},
			{"2026-05-03T11:00", "2026-05-02T09:00:00Z", "", ""},
			{"2026-05-03T11:00", "2026-06-02T09:00:00Z", "", "2026-06-02T09:00"},
		}},
		{"late", [][4]string{
			{"2026-05-02T11:00", "2026-05-02T09:00:00Z", "reminded", "2026-05-03T09:00"},
			{"2026-06-02T11:01", "2026-06-02T09:00:00Z", "", "2026-06-03T09:00"},
			{"2026-06-04T09:01", "2026-06-02T09:00:00Z", "", ""},
		}},
		{"a time between two microseconds is not too early", [][4]string{
			{"2026-05-01T00:00", "2026-05-02T09:00:00.0000004Z", "", "2026-05-02T09:00:00.000001"},
		}},
		{"no time", [][4]string{{"2026-05-02T11:00", "", "", ""}}},
		{"a clock that jumps back does not run it twice", [][4]string{
			{"2026-05-02T09:00", "2026-05-02T09:00:00Z", "reminded", "2026-05-03T09:00"},
			{"2026-05-02T08:00", "2026-05-02T09:00:00Z", "", "2026-05-03T09:00"},
			{"2026-05-02T09:00", "2026-05-02T09:00:00Z", "", "2026-05-03T09:00"},
		}},
		{"another offset is the same time", [][4]string{
			{"2026-05-02T09:00", "2026-05-02T09:00:00Z", "reminded", "2026-05-03T09:00"},
			{"2026-05-02T09:30", "2026-05-02T12:00:00+03:00", "", "2026-05-03T09:00"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDiary(t, reminder)
			for i, x := range tt.runs {
				due := ""
				d.change = func(r *run.Run) { r.Now = at(x[0]) }
				d.out = nil
				r := enginetest.DealRun()
				r.Memory, r.Event.Data, r.Now = d.memory, map[string]any{"end": x[1]}, at(x[0])
				d.memory.Begin()
				if _, err := r.Do(context.Background(), d.rule); err != nil {
					t.Fatal(err)
				}
				if _, wake := d.memory.Succeed(); !wake.IsZero() {
					due = strings.TrimSuffix(wake.UTC().Format("2006-01-02T15:04:05.999999999"), ":00")
				}
				var saved []string
				for _, s := range d.out {
					v, _ := s.Fields.Get("it")
					saved = append(saved, fmt.Sprint(v))
				}
				if got := strings.Join(saved, " "); got != x[2] || due != x[3] {
					t.Errorf("run %d: saved %q, next run at %q, want %q and %q", i+1, got, due, x[2], x[3])
				}
			}
		})
	}

	t.Run("a step of deleted", func(t *testing.T) {
		d := newDiary(t, reminder)
		d.rule = enginetest.Compile(t, enginetest.Head+strings.Replace(reminder, "steps:", "deleted:", 1)+"    steps:\n      - make_rows: {count: 1}\n", &d.out).Rules[0]
		for i, x := range [][3]string{
			{"2026-05-02T08:00", "", "2026-05-02T09:00"},
			{"2026-05-02T09:00", "reminded", "2026-05-03T09:00"},
			{"2026-05-02T09:10", "", "2026-05-03T09:00"}, // late events
			{"2026-05-02T09:20", "", "2026-05-03T09:00"},
			{"2026-05-03T09:00", "after", ""},
			{"2026-05-03T09:01", "", ""},
			{"2026-05-03T09:02", "", ""},
		} {
			d.change = func(r *run.Run) { r.Deleted, r.Entity.TypeID, r.Now = true, 0, at(x[0]) }
			saved, err := d.run(map[string]any{"end": "2026-05-02T09:00:00Z"})
			due := ""
			if d.gone == d.wake.IsZero() {
				t.Errorf("run %d: the next run is at %v, and the entity is gone: %v", i+1, d.wake, d.gone)
			}
			if !d.wake.IsZero() {
				due = d.wake.UTC().Format("2006-01-02T15:04")
			}
			if err != nil || saved != x[1] || due != x[2] {
				t.Errorf("run %d: saved %q, next run at %q, %v, want %q and %q", i+1, saved, due, err, x[1], x[2])
			}
		}
	})

	t.Run("a run that finds its entity gone plans nothing of the steps before", func(t *testing.T) {
		d := newDiary(t, reminder+"      - fail: {with: gone}\n")
		d.change = func(r *run.Run) { r.Now = at("2026-05-02T08:00") }
		if saved, err := d.run(map[string]any{"end": "2026-05-02T09:00:00Z"}); err != nil || saved != "gone" || !d.wake.IsZero() {
			t.Errorf("saved %q, %v, the next run at %v", saved, err, d.wake)
		}
	})

	t.Run("a failed run plans nothing and remembers nothing", func(t *testing.T) {
		d := newDiary(t, reminder+"      - when: =event.count == 1\n        fail: {with: oops}\n")
		d.change = func(r *run.Run) { r.Now = at("2026-05-02T09:00") }
		if _, err := d.run(map[string]any{"end": "2026-05-02T09:00:00Z"}); err == nil {
			t.Fatal("no failure")
		}
		if d.memory.Fail(); len(d.memory.Values) != 0 {
			t.Errorf("remembered %v", d.memory.Values)
		}
	})
}

// TestLook: a first look remembers what it sees, plans what is to come, and writes and
// starts nothing.
func TestLook(t *testing.T) {
	d := newDiary(t, won+strings.TrimPrefix(reminder, "    steps:\n")+"      - once: =event.data.stage\n        save: {entityTypeId: 9, fields: {it: once}}\n      - compute: {stage: =event.data.stage}\n      - when: =(before.stage ?? \"-\") == \"WON\"\n        save: {entityTypeId: 9, fields: {it: before}}\n")
	d.change = func(r *run.Run) {
		r.DryRun, r.Look, r.Now = &dryrun.Run{}, true, time.Date(2026, 5, 2, 10, 0, 0, 0, time.UTC)
	}
	data := map[string]any{"stage": "WON", "end": "2026-05-02T09:00:00Z"}
	if saved, err := d.run(data); err != nil || saved != "" {
		t.Fatalf("the look saved %q, %v", saved, err)
	}
	d.change = func(r *run.Run) { r.Now = time.Date(2026, 5, 2, 10, 30, 0, 0, time.UTC) }
	if saved, err := d.run(data); err != nil || saved != "once before" {
		t.Errorf("the run after the look saved %q, %v", saved, err)
	}

	// The rule has changed, and its step has run for another time: the next run is for the time
	// that has passed, as for one that slept.
	now := time.Date(2026, 5, 2, 11, 0, 0, 0, time.UTC)
	look := func(r *run.Run) { r.DryRun, r.Look, r.Now = &dryrun.Run{}, true, now }
	d.change = look
	data["end"] = "2026-05-02T10:59:00Z"
	if saved, err := d.run(data); err != nil || saved != "before" || d.wake.Sub(now) > time.Second || d.wake.IsZero() {
		t.Errorf("the look of the changed rule saved %q, %v, and its next run is at %v", saved, err, d.wake)
	}
	d.change = func(r *run.Run) { r.Now = now.Add(time.Second) }
	if saved, err := d.run(data); err != nil || saved != "reminded before" {
		t.Errorf("the run after the look saved %q, %v", saved, err)
	}

	set := startRules(t, startingRules)
	m := &run.LocalMemory{}
	r := enginetest.DealRun()
	r.Memory, r.Rule, r.DryRun, r.Look, r.Event.Data = m, finder(set), &dryrun.Run{}, true, map[string]any{"ids": []any{"1"}}
	for _, want := range []string{"remembers for parent: company:1", ""} { // the second look has nothing to add
		trace, err := r.Do(context.Background(), set.Rules[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(trace.Follows, "; "); got != want {
			t.Errorf("the history of the look says %q, want %q", got, want)
		}
		if starts, _ := m.Succeed(); len(starts) != 0 {
			t.Errorf("the look starts %s", startsText(starts))
		}
	}
	r.DryRun, r.Look, r.Event.Data = nil, false, map[string]any{"ids": []any{"2"}}
	if _, err := r.Do(context.Background(), set.Rules[0]); err != nil {
		t.Fatal(err)
	}
	if starts, _ := m.Succeed(); startsText(starts) != "parent company:2, parent company:1" {
		t.Errorf("after the look the first move starts %s", startsText(starts))
	}
}
