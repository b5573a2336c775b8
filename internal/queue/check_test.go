package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The check repairs what a broken connection can cause: queued runs that do not
// start, running ones without a worker, and blocked ones of an idle entity.
func TestWhatIsStuckIsFound(t *testing.T) {
	for _, state := range []State{Queued, Running, Blocked} {
		t.Run(string(state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openTest(t)
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				var ran atomic.Int32
				wg.Go(func() {
					_ = q.Work(ctx, func(_ context.Context, r *Run) error {
						ran.Add(1)
						time.Sleep(time.Minute) // a run that takes its time is not stuck
						return nil
					})
				})
				for i := range 3 {
					route := Route{Rule: "r", Entity: fmt.Sprint("deal:", i), Debounce: time.Second}
					if err := q.Push(ctx, Event{Portal: "acme", Code: "X"}, []Route{route}); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := sqliteOf(q).write.ExecContext(ctx, `UPDATE b24_run SET state = $1, claim = 7 WHERE id < 3`, string(state)); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if err := q.WaitIdle(ctx); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); ran.Load() != 3 || took > 4*time.Minute {
					t.Errorf("%d runs after %v, want all 3, each once", ran.Load(), took)
				}
				stop()
				wg.Wait()
			})
		})
	}
}
