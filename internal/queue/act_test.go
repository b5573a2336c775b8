package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// A replay keeps the number of the run, and its attempts are counted on.
func testAttemptsAreCountedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		var numbers, tries []int
		work(t, q, func(_ context.Context, r *queue.Run) error {
			numbers, tries = append(numbers, r.Number()), append(tries, r.Attempt)
			r.SetCause("the portal")
			if len(numbers) < 5 {
				return errPortal
			}
			return nil
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		for range 2 {
			if err := q.Replay(t.Context(), 1, "anna@web1"); err != nil {
				t.Fatal(err)
			}
			waitIdle(t, q)
		}
		if diff := cmp.Diff([][]int{{1, 2, 3, 4, 5}, {1, 2, 1, 2, 1}}, [][]int{numbers, tries}); diff != "" {
			t.Errorf("numbers and tries (-want +got):\n%s", diff)
		}
		attempts, err := journal.Attempts(t.Context(), q.Database(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range attempts {
			if a.Number != i+1 {
				t.Errorf("attempt %d has the number %d", i+1, a.Number)
			}
		}
		wantActs(t, q, 1, journal.Act{Action: journal.Replayed, Who: "anna@web1"}, journal.Act{Action: journal.Replayed, Who: "anna@web1"})
		if run := runs(t, q, journal.Filter{ID: 1})[0]; run.State != journal.Succeeded || run.Cause != "" || run.Number() != 5 {
			t.Errorf("the run is %+v", run)
		}
	})
}

func wantActs(t *testing.T, q *queue.Queue, run int64, want ...journal.Act) {
	t.Helper()
	got, err := journal.Acts(t.Context(), q.Database(), run)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("actions on run %d (-want +got):\n%s", run, diff)
	}
}

// A run that has joined another one is found by its number, also when that one joins a
// third.
func testJoinedRunsAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		stop := work(t, q, func(context.Context, *queue.Run) error { return errPortal })
		route := queue.Route{Rule: "r", Entity: "deal:1"}
		for i := range 2 {
			push(t, q, fmt.Sprint(i), route) // runs 1 and 2 are parked
			waitIdle(t, q)
		}
		stop()
		push(t, q, "2", route) // run 3 waits
		for _, id := range []int64{2, 1} {
			if err := q.Replay(t.Context(), id, "anna@web1"); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[int64]int64{1: 0, 2: 1, 3: 1, 99: 0} {
			into, ok, err := journal.JoinedTo(t.Context(), q.Database(), id)
			if err != nil || into != want || ok != (want != 0) {
				t.Errorf("run %d has joined %d, %t, %v; want %d", id, into, ok, err, want)
			}
		}
		attempts, err := journal.Attempts(t.Context(), q.Database(), 1)
		if err != nil || len(attempts) != 2 || attempts[0].Number != 1 || attempts[1].Number != 2 {
			t.Errorf("attempts are %+v, %v", attempts, err)
		}
		if run := runs(t, q, journal.Filter{ID: 1})[0]; run.Number() != 2 || run.Attempt != 0 {
			t.Errorf("the run is %+v", run)
		}
		if err := q.Discard(t.Context(), 1, "boris@web1"); err != nil {
			t.Fatal(err)
		}
		acts, err := journal.Acts(t.Context(), q.Database(), 1)
		if err != nil || len(acts) != 5 || acts[4].Action != journal.GivenUp || acts[4].Who != "boris@web1" || acts[4].At.IsZero() {
			t.Errorf("actions are %+v, %v", acts, err)
		}
	})
}

func testCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if r.Rule == "fine" {
				return nil
			}
			r.SetCause("cause of " + r.Rule)
			return errPortal
		})
		for i := range 12 {
			push(t, q, "0", queue.Route{Rule: []string{"a", "b", "a", "fine"}[i%4], Entity: fmt.Sprint("deal:", i)})
		}
		waitIdle(t, q)
		got, err := journal.Causes(t.Context(), q.Database(), journal.Filter{States: []journal.State{journal.Parked}})
		if err != nil {
			t.Fatal(err)
		}
		want := []journal.CauseCount{{Cause: "cause of a", Portal: "acme", Rule: "a", Runs: 6, Newest: 11}, {Cause: "cause of b", Portal: "acme", Rule: "b", Runs: 3, Newest: 10}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
			t.Errorf("causes (-want +got):\n%s", diff)
		}
		if n := len(runs(t, q, journal.Filter{Cause: "cause of b"})); n != 3 {
			t.Errorf("%d runs of a cause, want 3", n)
		}
	})
}

// Served sees the process that works the database from another one, and not one that has
// ended.
func testServed(t *testing.T) {
	dsn := newDSN(t)
	q, other := openDSN(t, dsn, queue.Options{}), openDSN(t, dsn, queue.Options{})
	look := func(want bool) {
		t.Helper()
		for _, look := range []*queue.Queue{q, other} {
			if served, err := look.Served(t.Context()); err != nil || served != want {
				t.Errorf("served %t, %v; want %t", served, err, want)
			}
		}
	}
	look(false)
	stop := work(t, q, func(context.Context, *queue.Run) error { return nil })
	push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
	waitIdle(t, q)
	look(true)
	stop()
	look(false)
	if err := q.Lock(t.Context()); err != nil { // a look does not keep a process from starting
		t.Fatal(err)
	}
}
