package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

var parentRoute = queue.Route{Rule: "parent", Entity: "company:1", Debounce: 500 * time.Millisecond}

// testStarts: 100 children start one parent, a third of them after a failure. The starts
// become one run, and nothing starts before the child has succeeded.
func testStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Workers: 200})
		var mu sync.Mutex
		var parents, early int
		ended := map[string]bool{}
		work(t, q, func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			defer mu.Unlock()
			if r.Rule == "parent" {
				parents++
				if s, ok := r.Starter(); !ok || s.Rule != "child" || s.Run == 0 {
					t.Errorf("started by %+v, %v", s, ok)
				}
				return nil
			}
			r.Start(parentRoute)
			var n int
			_, _ = fmt.Sscanf(r.Entity, "deal:%d", &n)
			if n%3 == 0 && r.Attempt == 1 {
				if parents > 0 {
					early++
				}
				return errPortal
			}
			ended[r.Entity] = true
			return nil
		})
		for i := range 100 {
			push(t, q, "0", queue.Route{Rule: "child", Entity: fmt.Sprint("deal:", i)})
		}
		waitIdle(t, q)
		if len(ended) != 100 || parents == 0 || parents > 30 {
			t.Errorf("%d children succeeded, and the parent ran %d times", len(ended), parents)
		}
	})
}

// testAFailedRunStartsNothing: neither does a parked one.
func testAFailedRunStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if r.Rule == "parent" {
				t.Error("the parent runs")
			}
			r.Start(parentRoute)
			r.Sleep(time.Now().Add(time.Hour), false)
			return errPortal
		})
		push(t, q, "0", queue.Route{Rule: "child", Entity: "deal:1"})
		waitIdle(t, q)
		if diff := cmp.Diff(map[journal.State]int{journal.Parked: 1}, stats(t, q).Runs); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// testStartsOfABackfill: what a backfill starts is a backfill, and it does not make a
// waiting run of one live.
func testStartsOfABackfill(t *testing.T) {
	q := openNew(t, queue.Options{})
	for _, entity := range []string{"deal:1", "company:1"} {
		rule := map[string]string{"deal:1": "child", "company:1": "parent"}[entity]
		if _, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: "SYNC", Routes: []queue.Route{{Rule: rule, Entity: entity}}}); err != nil {
			t.Fatal(err)
		}
	}
	var got []journal.Priority
	var mu sync.Mutex
	work(t, q, func(_ context.Context, r *queue.Run) error {
		mu.Lock()
		defer mu.Unlock()
		if r.Rule == "child" {
			r.Start(parentRoute, queue.Route{Rule: "parent", Entity: "company:2"})
			return nil
		}
		got = append(got, r.Priority)
		return nil
	})
	waitIdle(t, q)
	for _, p := range got {
		if p != journal.Backfill {
			t.Errorf("the parents ran with %v", got)
		}
	}
	if len(got) < 2 {
		t.Errorf("%d parents ran", len(got))
	}
}

// testStartsDoNotDeadlock: two processes end runs that start each other's entities, in
// all orders. No transaction waits for another one that waits for it.
func testStartsDoNotDeadlock(t *testing.T) {
	dsn := newDSN(t)
	q := openDSN(t, dsn, queue.Options{Workers: 50})
	other := q // on SQLite another process would wait for the lock of the file, which this one keeps busy
	if !strings.HasPrefix(dsn, "sqlite:") {
		other = openDSN(t, dsn, queue.Options{})
	}
	const entities = 8
	var runs atomic.Int64
	work(t, q, func(_ context.Context, r *queue.Run) error {
		if runs.Add(1) > 150 {
			return nil
		}
		for i := range entities {
			r.Start(queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", (i*5)%entities)}, queue.Route{Rule: "s", Entity: fmt.Sprint("deal:", i)})
		}
		return nil
	})
	for i := range 60 {
		push(t, other, "0", queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i%entities), Added: true}, queue.Route{Rule: "s", Entity: fmt.Sprint("deal:", i%entities), Added: true})
	}
	waitIdle(t, q)
	var deadlocks int
	err := q.Database().QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks)
	if err == nil && deadlocks > 0 { // SQLite has one writer, and no such table
		t.Errorf("%d deadlocks", deadlocks)
	}
}

func testSleepers(t *testing.T) {
	route := queue.Route{Rule: "r", Entity: "deal:1", Debounce: 200 * time.Millisecond, Ceiling: 600 * time.Millisecond}
	// The workers look for work every second of the bubble, so the times are short.
	const nap = 10 * time.Minute
	// sleeping runs a rule that sleeps for a nap, once.
	sleeping := func(t *testing.T) (q *queue.Queue, times *[]time.Duration, woken *[]time.Time) {
		q = openNew(t, queue.Options{})
		start := time.Now()
		times, woken = &[]time.Duration{}, &[]time.Time{}
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if r.First.After(time.Now()) {
				t.Errorf("the first event of a run is of %v", r.First)
			}
			*times = append(*times, time.Since(start))
			*woken = append(*woken, r.Woken)
			if len(*times) == 1 {
				r.Sleep(start.Add(nap), false)
			}
			return nil
		})
		push(t, q, "1", route)
		time.Sleep(time.Second)
		return q, times, woken
	}
	t.Run("wake up at their time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, woken := sleeping(t)
			if b, err := journal.Backlogs(t.Context(), q.Database()); err != nil || len(b) != 1 || b[0].State != journal.Asleep || b[0].Runs != 1 {
				t.Errorf("backlogs %+v, %v", b, err)
			}
			if n, err := journal.Pending(t.Context(), q.Database(), "acme", ""); err != nil || n != 0 {
				t.Errorf("%d runs of backfills are pending, %v", n, err)
			}
			time.Sleep(2 * nap)
			synctest.Wait()
			if len(*times) != 2 || (*times)[1] < nap || (*times)[1] > nap+time.Minute || (*woken)[1].IsZero() || !(*woken)[0].IsZero() {
				t.Errorf("ran at %v, woken %v", *times, *woken)
			}
		})
	})
	t.Run("an event wakes one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, woken := sleeping(t)
			push(t, q, "2", route)
			time.Sleep(2 * nap)
			synctest.Wait()
			if len(*times) != 2 || (*times)[1] > 2*time.Second || !(*woken)[1].IsZero() {
				t.Errorf("ran at %v, woken %v", *times, *woken)
			}
		})
	})
	t.Run("the ceiling holds for one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, _ := sleeping(t)
			for range 30 {
				push(t, q, "2", route)
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			if n := len(*times) - 1; n < 4 {
				t.Errorf("events every 100 ms for 3 s: %d runs, want one each 600 ms", n)
			}
		})
	})
	t.Run("a backfill brings one forward", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, woken := sleeping(t)
			r, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: "SYNC", Routes: []queue.Route{route}})
			if err != nil || r.Started != 1 || r.Joined != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(*times) != 2 || !(*woken)[1].IsZero() {
				t.Errorf("ran at %v, woken %v", *times, *woken)
			}
		})
	})
	t.Run("an event during the run is not delayed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := openNew(t, queue.Options{})
			start := time.Now()
			var times []time.Duration
			work(t, q, func(_ context.Context, r *queue.Run) error {
				if times = append(times, time.Since(start)); len(times) == 1 {
					push(t, q, "2", route)
					r.Sleep(start.Add(nap), false)
				}
				return nil
			})
			push(t, q, "1", route)
			time.Sleep(2 * nap)
			synctest.Wait()
			if len(times) != 2 || times[1] > 5*time.Second {
				t.Errorf("ran at %v", times)
			}
		})
	})
	t.Run("one that a person repeats has not waited for its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, woken := sleeping(t)
			asleep := runs(t, q, journal.Filter{States: []journal.State{journal.Asleep}})
			if len(asleep) != 1 {
				t.Fatalf("asleep: %+v", asleep)
			}
			if err := errors.Join(q.Discard(t.Context(), asleep[0].ID, ""), q.Replay(t.Context(), asleep[0].ID, "")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(*times) != 2 || !(*woken)[1].IsZero() {
				t.Errorf("ran at %v, woken %v", *times, *woken)
			}
		})
	})
	t.Run("a changed rule wakes them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q, times, _ := sleeping(t)
			last, err := q.WakeSleepers(t.Context(), "acme", "r", "")
			if err != nil || last != "deal:1" {
				t.Fatalf("woke up to %q, %v", last, err)
			}
			if last, err = q.WakeSleepers(t.Context(), "acme", "r", last); err != nil || last != "" {
				t.Errorf("woke up to %q, %v", last, err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(*times) != 2 {
				t.Errorf("ran at %v", *times)
			}
		})
	})
	t.Run("a changed rule wakes only those that sleep", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := openNew(t, queue.Options{})
			until := time.Now().Add(time.Hour)
			work(t, q, func(context.Context, *queue.Run) error { return queue.Postpone(until, errPortal) })
			if _, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: "SYNC", Routes: []queue.Route{{Rule: "r", Entity: "deal:2"}}}); err != nil {
				t.Fatal(err)
			}
			push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1", Debounce: 10 * time.Minute})
			time.Sleep(time.Second)
			before := runs(t, q, journal.Filter{})
			if last, err := q.WakeSleepers(t.Context(), "acme", "r", ""); err != nil || last != "" {
				t.Errorf("woke up to %q, %v", last, err)
			}
			for i, r := range runs(t, q, journal.Filter{}) {
				if !r.Due.Equal(before[i].Due) || time.Until(r.Due) < 9*time.Minute {
					t.Errorf("%s was due at %v, and is due at %v", r.Entity, before[i].Due, r.Due)
				}
			}
		})
	})
	t.Run("they keep their event", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := openNew(t, queue.Options{RetainEvents: time.Minute, RetainSucceeded: time.Minute})
			var data []string
			start := time.Now()
			work(t, q, func(_ context.Context, r *queue.Run) error {
				if data = append(data, string(r.Event.Data)); len(data) == 1 {
					r.Sleep(start.Add(nap), false)
				}
				return nil
			})
			push(t, q, `"first"`, route)
			time.Sleep(nap / 2)
			if err := q.Retain(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(nap)
			synctest.Wait()
			if diff := cmp.Diff([]string{`"first"`, `"first"`}, data); diff != "" {
				t.Errorf("data of the runs (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("one that is given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := openNew(t, queue.Options{})
			work(t, q, func(context.Context, *queue.Run) error { return queue.GiveUp(errors.New("no such rule")) })
			push(t, q, "0", route)
			waitIdle(t, q)
			if diff := cmp.Diff(map[journal.State]int{journal.Discarded: 1}, stats(t, q).Runs); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	})
}
