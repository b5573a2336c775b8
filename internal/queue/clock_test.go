package queue_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// testAClockThatWasSetBack: what was stored while the clock was a day fast starts when it
// is right again, each run once. A sleeping run plans again, and no run is lost.
func testAClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		var mu sync.Mutex
		started := map[string]int{}
		later := time.Now().Add(24 * time.Hour)
		work(t, q, func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			defer mu.Unlock()
			started[r.Entity]++
			if r.First.After(time.Now()) {
				t.Errorf("the first event of the run of %s is in the future: %s", r.Entity, r.First)
			}
			switch {
			case r.Entity == "deal:sleeps":
				r.Sleep(later.Add(time.Duration(started[r.Entity])*time.Minute), false)
			case r.Entity == "deal:waits" && started[r.Entity] == 1:
				return queue.Postpone(later, errPortal)
			}
			return nil
		})
		if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X", Received: later}, []queue.Route{{Rule: "r", Entity: "deal:event", Debounce: time.Second}}); err != nil {
			t.Fatal(err)
		}
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:sleeps"})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:waits"})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:ended"})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{"deal:sleeps": 1, "deal:waits": 1, "deal:ended": 1}, started); diff != "" {
			t.Fatalf("before (-want +got):\n%s", diff)
		}
		if err := q.ClockSetBack(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{"deal:event": 1, "deal:sleeps": 2, "deal:waits": 2, "deal:ended": 1}, started); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
		asleep := runs(t, q, journal.Filter{Entity: "deal:sleeps", Limit: 1})
		if len(asleep) != 1 || asleep[0].State != journal.Asleep || !asleep[0].Due.Equal(later.Add(2*time.Minute).Truncate(time.Microsecond)) {
			t.Errorf("the sleeping run is %+v", asleep)
		}
	})
}

// testASleeperOfADeletedEntity: the run that wakes knows that its entity does not exist,
// also when the tombstone is gone.
func testASleeperOfADeletedEntity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		var deleted []bool
		start := time.Now()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if deleted = append(deleted, r.Deleted); len(deleted) == 1 {
				r.Sleep(start.Add(time.Minute), true) // found gone by the run: no event has said so
			}
			return nil
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]bool{false, true}, deleted); diff != "" {
			t.Errorf("deleted (-want +got):\n%s", diff)
		}
	})
}

// testAnEventOfAFastClock: a run that a process with a fast clock has stored is not delayed
// without end by the events of others: the ceiling counts from the first of those.
func testAnEventOfAFastClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		started := 0
		var first time.Time
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if started++; started == 1 {
				first = r.First
			}
			return nil
		})
		route := queue.Route{Rule: "r", Entity: "deal:1", Debounce: 200 * time.Millisecond, Ceiling: 600 * time.Millisecond}
		if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X", Received: time.Now().Add(24 * time.Hour)}, []queue.Route{route}); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			push(t, q, "0", route)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if started < 4 || first.After(time.Now()) {
			t.Errorf("events every 100 ms for 3 s: %d runs, the first event of the first at %v", started, first)
		}
	})
}
