package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Runs of one entity end at the time at which others of it become due: none of those
// may wait for a run that has ended.
func testABlockedRunIsWoken(t *testing.T) {
	q := openNew(t, queue.Options{})
	work(t, q, func(context.Context, *queue.Run) error { return nil })
	for round := range 6 { // one takes 3 seconds under the race detector, a tenth of one without
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				routes := make([]queue.Route, 4)
				for n := range routes {
					routes[n] = queue.Route{Rule: fmt.Sprint("r", n), Entity: fmt.Sprint("deal:", i)}
				}
				if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, routes); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := q.WaitIdle(ctx); err != nil {
			t.Fatalf("round %d: %v; runs are %v", round, err, stats(t, q).Runs)
		}
		cancel()
	}
}
