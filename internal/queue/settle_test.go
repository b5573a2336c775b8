package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

// An interrupted run waits until the portal has certainly processed its last request,
// whatever happens in the meantime; other runs do not wait for it.
func TestACutOffRunWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Grace: time.Second, Settle: time.Minute})
		stop := work(t, q, func(ctx context.Context, _ *queue.Run) error {
			<-ctx.Done()
			return ctx.Err()
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(time.Second)
		stop() // the run is cancelled after a second

		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			j.note(r)
			return nil
		})
		time.Sleep(10 * time.Second)
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"})
		push(t, q, "2", queue.Route{Rule: "r", Entity: "deal:2"})
		waitIdle(t, q)
		want := []entry{
			{At: 10 * time.Second, Rule: "r", Entity: "deal:2", Count: 1, Attempt: 1, Data: "2"},
			{At: time.Minute, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 1, Data: "1"},
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// RetryFrom delays the next attempt and counts this one.
func TestRetryFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			j.note(r)
			return queue.RetryFrom(time.Now().Add(time.Minute), errPortal)
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(10 * time.Second)
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"}) // does not bring it forward
		waitIdle(t, q)
		want := []entry{
			{Rule: "r", Entity: "deal:1", Count: 1, Attempt: 1, Data: "0"},
			{At: time.Minute, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 1, Data: "1"},
			{At: 2 * time.Minute, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 2, Data: "1"},
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if s := stats(t, q); s.Runs[journal.Parked] != 1 {
			t.Errorf("runs are %v, want one parked with the text of the portal", s.Runs)
		}
	})
}
