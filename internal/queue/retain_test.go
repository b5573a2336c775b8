package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

func testHistoryIsKeptForItsTime(t *testing.T) {
	const day = 24 * time.Hour
	type left struct{ Runs, Events int }
	for _, tt := range []struct {
		name string
		o    queue.Options
		want map[time.Duration]left // after so much time
	}{
		// One run with an event in each of three states, and one event without a run.
		{"by default", queue.Options{}, map[time.Duration]left{29 * day: {3, 4}, 31 * day: {1, 1}, 364 * day: {1, 1}, 366 * day: {0, 0}}},
		{"each by its own", queue.Options{
			RetainSucceeded: day, RetainDiscarded: 3 * day, RetainParked: 5 * day, RetainEvents: 7 * day,
		}, map[time.Duration]left{2 * day: {2, 4}, 4 * day: {1, 4}, 6 * day: {0, 4}, 8 * day: {0, 0}}},
		{"for ever", queue.Options{RetainSucceeded: -1, RetainDiscarded: -1, RetainParked: -1, RetainEvents: -1}, map[time.Duration]left{900 * day: {3, 4}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for after, want := range tt.want {
				synctest.Test(t, func(t *testing.T) {
					dsn := newDSN(t)
					q := openDSN(t, dsn, tt.o)
					do := func(_ context.Context, r *queue.Run) error {
						if r.Entity != "deal:1" {
							return queue.Park(errPortal)
						}
						return nil
					}
					stop := work(t, q, do)
					for i := range 3 {
						push(t, q, "0", queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", 1+i)})
					}
					push(t, q, "1")
					waitIdle(t, q)
					if err := q.Discard(t.Context(), 2, ""); err != nil {
						t.Fatal(err)
					}
					stop()
					closeQueue(t, q)
					time.Sleep(after)
					q = openDSN(t, dsn, tt.o)
					if err := q.Retain(t.Context()); err != nil {
						t.Fatal(err)
					}
					s := stats(t, q)
					got := left{s.Runs[journal.Succeeded] + s.Runs[journal.Parked] + s.Runs[journal.Discarded], s.Events}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("left after %v (-want +got):\n%s", after, diff)
					}
				})
			}
		})
	}
}

// Rows are deleted in small steps, and never those that a run still needs.
func testSweepingMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{RetainSucceeded: time.Hour, RetainEvents: time.Hour})
		var wg sync.WaitGroup
		for i := range 900 {
			wg.Go(func() { push(t, q, "0", queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i%500)}) })
		}
		wg.Wait()
		do := func(context.Context, *queue.Run) error { return nil }
		stop := work(t, q, do)
		waitIdle(t, q)
		stop()
		time.Sleep(2 * time.Hour)
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1", Debounce: 5 * time.Hour})
		if err := q.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := stats(t, q); s.Events != 1 || s.Runs[journal.Succeeded] != 0 || s.Runs[journal.Waiting] != 1 {
			t.Errorf("left are %+v, want the waiting run and its event", s)
		}
	})
}
