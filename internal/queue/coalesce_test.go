package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

func testCoalescing(t *testing.T) {
	const s = time.Second
	type pushed struct {
		at    time.Duration
		route queue.Route
	}
	deal := func(debounce, ceiling time.Duration) queue.Route {
		return queue.Route{Rule: "r", Entity: "deal:1", Debounce: debounce, Ceiling: ceiling}
	}
	with := func(r queue.Route, added, deleted bool) queue.Route {
		r.Added, r.Deleted = added, deleted
		return r
	}
	line := func(at time.Duration, count int, data string) entry {
		return entry{At: at, Rule: "r", Entity: "deal:1", Count: count, Attempt: 1, Data: data}
	}
	for _, tt := range []struct {
		name   string
		pushes []pushed
		want   []entry
	}{
		{
			"no debounce starts at once",
			[]pushed{{0, deal(0, 0)}, {s, deal(0, 0)}},
			[]entry{line(0, 1, "0"), line(s, 1, "1")},
		},
		{
			"the debounce trails the last event",
			[]pushed{{0, deal(2*s, 0)}, {s, deal(2*s, 0)}, {2 * s, deal(2*s, 0)}},
			[]entry{line(4*s, 3, "2")},
		},
		{
			"what comes after the run has begun is the next run",
			[]pushed{{0, deal(2*s, 0)}, {3 * s, deal(2*s, 0)}},
			[]entry{line(2*s, 1, "0"), line(5*s, 1, "1")},
		},
		{
			"the ceiling counts from the first event",
			[]pushed{
				{0, deal(2*s, 3*s)}, {s, deal(2*s, 3*s)}, {2 * s, deal(2*s, 3*s)}, {4 * s, deal(2*s, 3*s)},
			},
			[]entry{line(3*s, 3, "2"), line(6*s, 1, "3")},
		},
		{"without a ceiling it is ten debounces", func() (all []pushed) {
			for i := range 16 {
				all = append(all, pushed{time.Duration(i) * 700 * time.Millisecond, deal(s, 0)})
			}
			return all
		}(), []entry{line(10*s, 15, "14"), line(11500*time.Millisecond, 1, "15")}},
		{
			"a debounce above the ceiling is the ceiling",
			[]pushed{{0, deal(5*s, 2*s)}},
			[]entry{line(2*s, 1, "0")},
		},
		{
			"added and deleted are ored",
			[]pushed{
				{0, with(deal(s, 0), true, false)}, {s / 2, deal(s, 0)}, {s / 2, with(deal(s, 0), false, true)},
			},
			[]entry{{At: 3 * s / 2, Rule: "r", Entity: "deal:1", Count: 3, Attempt: 1, Data: "2", Added: true, Deleted: true}},
		},
		{
			"rules and entities have runs of their own",
			[]pushed{
				{0, deal(s, 0)}, {0, queue.Route{Rule: "r", Entity: "deal:2", Debounce: 2 * s}}, {0, queue.Route{Rule: "s", Entity: "deal:1", Debounce: 3 * s}},
			},
			[]entry{
				line(s, 1, "0"),
				{At: 2 * s, Rule: "r", Entity: "deal:2", Count: 1, Attempt: 1, Data: "1"},
				{At: 3 * s, Rule: "s", Entity: "deal:1", Count: 1, Attempt: 1, Data: "2"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{})
				j := newRunLog()
				work(t, q, func(_ context.Context, r *queue.Run) error {
					j.note(r)
					var last int
					if _, err := fmt.Sscan(string(r.Event.Data), &last); err != nil {
						t.Error(err)
					}
					if first := tt.pushes[last-r.Count+1].at; !r.First.Equal(j.begun.Add(first)) {
						t.Errorf("the first event of the run of %d events is of %s, want %s", r.Count, r.First.Sub(j.begun), first)
					}
					return nil
				})
				for i, p := range tt.pushes {
					time.Sleep(p.at - time.Since(j.begun))
					push(t, q, fmt.Sprint(i), p.route)
				}
				waitIdle(t, q)
				if diff := cmp.Diff(tt.want, j.all()); diff != "" {
					t.Errorf("runs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func testAnEventDuringARunIsFollowedByARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			j.note(r)
			time.Sleep(10 * time.Second)
			return nil
		})
		r := queue.Route{Rule: "r", Entity: "deal:1", Debounce: time.Second}
		push(t, q, "0", r)
		time.Sleep(5 * time.Second) // the first runs from 1 s to 11 s
		push(t, q, "1", r)
		time.Sleep(3 * time.Second) // due at 6 s, but blocked: it still takes events in
		push(t, q, "2", r)
		waitIdle(t, q)
		want := []entry{
			{At: time.Second, Rule: "r", Entity: "deal:1", Count: 1, Attempt: 1, Data: "0"},
			{At: 11 * time.Second, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 1, Data: "2"},
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func testAnEventOfARunThatFailsMeanwhileJoinsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{RetryFirst: noRetry, RetryMax: noRetry})
		j := newRunLog()
		work(t, q, func(ctx context.Context, r *queue.Run) error {
			j.note(r)
			if string(r.Event.Data) == "0" {
				if err := r.MarkDone(ctx, "posted"); err != nil {
					return err
				}
				time.Sleep(10 * time.Second)
				return context.DeadlineExceeded
			}
			if done, err := r.Done(ctx, "posted"); err != nil || !done {
				t.Errorf("done mark after joining: %v, %v", done, err)
			}
			return nil
		})
		r := queue.Route{Rule: "r", Entity: "deal:1", Debounce: 2 * time.Second}
		push(t, q, "0", r)
		time.Sleep(11 * time.Second) // it fails at 12 s
		push(t, q, "1", r)           // due at 13 s, long before the retry
		waitIdle(t, q)
		want := []entry{
			{At: 2 * time.Second, Rule: "r", Entity: "deal:1", Count: 1, Attempt: 1, Data: "0"},
			{At: 13 * time.Second, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 1, Data: "1"},
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		all := runs(t, q, journal.Filter{})
		if len(all) != 1 || all[0].ID != 1 || all[0].State != journal.Succeeded {
			t.Fatalf("history has %+v, want the first run alone, succeeded", all)
		}
		events, err := journal.EventsOf(t.Context(), q.Database(), 1)
		if err != nil || len(events) != 2 {
			t.Errorf("the run has events %v, %v, want both", events, err)
		}
	})
}

func testRunsOfOneEntityTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			j.note(r)
			time.Sleep(2 * time.Second)
			return nil
		})
		push(t, q, "0", queue.Route{Rule: "c", Entity: "deal:1"}, queue.Route{Rule: "a", Entity: "deal:1"}, queue.Route{Rule: "b", Entity: "deal:1"},
			queue.Route{Rule: "a", Entity: "deal:2"})
		waitIdle(t, q)
		got := map[string]time.Duration{}
		for _, e := range j.all() {
			got[e.Rule+" "+e.Entity] = e.At
		}
		want := map[string]time.Duration{"c deal:1": 0, "a deal:1": 2 * time.Second, "b deal:1": 4 * time.Second, "a deal:2": 0}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

// An event must not wait for a poll interval before its run.
func testAnEventStartsItsRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		var worst time.Duration
		work(t, q, func(_ context.Context, r *queue.Run) error {
			worst = max(worst, time.Since(r.First))
			return nil
		})
		for i := range 20 {
			time.Sleep(time.Duration(i) * 17 * time.Millisecond)
			push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
			waitIdle(t, q)
		}
		if worst > 20*time.Millisecond {
			t.Errorf("a run began %v after its event, want a few milliseconds", worst)
		}
	})
}

func testAnEventWithoutRoutesIsKept(t *testing.T) {
	q := openNew(t, queue.Options{})
	push(t, q, `{"FIELDS":{"ID":"7"}}`)
	push(t, q, `{}`, queue.Route{Rule: "r", Entity: "deal:1"})
	s := stats(t, q)
	if s.Events != 2 || s.NoRule != 1 || s.Runs[journal.Waiting] != 1 {
		t.Errorf("stats are %+v, want 2 events, one of them for no rule, and a waiting run", s)
	}
}

func testPushRefusesNonsense(t *testing.T) {
	q := openNew(t, queue.Options{})
	good := queue.Route{Rule: "r", Entity: "deal:1"}
	for name, tt := range map[string]struct {
		e journal.Event
		r queue.Route
	}{
		"no portal":         {journal.Event{Code: "X"}, good},
		"no code":           {journal.Event{Portal: "acme"}, good},
		"data not JSON":     {journal.Event{Portal: "acme", Code: "X", Data: []byte("{")}, good},
		"no rule":           {journal.Event{Portal: "acme", Code: "X"}, queue.Route{Entity: "deal:1"}},
		"no entity":         {journal.Event{Portal: "acme", Code: "X"}, queue.Route{Rule: "r"}},
		"negative debounce": {journal.Event{Portal: "acme", Code: "X"}, queue.Route{Rule: "r", Entity: "deal:1", Debounce: -1}},
	} {
		if err := q.Push(t.Context(), tt.e, []queue.Route{tt.r}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := stats(t, q); s.Events != 0 {
		t.Errorf("%d events stored, want none", s.Events)
	}
}
