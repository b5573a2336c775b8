package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/queue"
)

// testARunThatNeedNotWait: the first event of an entity after a quiet time starts its run
// at once. All events of a save that follow lead to one more run.
func testARunThatNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		begun := time.Now()
		var got []string
		work(t, q, func(_ context.Context, r *queue.Run) error {
			got = append(got, fmt.Sprintf("%s %s: %d", r.Rule, time.Since(begun).Round(10*time.Millisecond), r.Count))
			time.Sleep(50 * time.Millisecond)
			return nil
		})
		r := queue.Route{Rule: "r", Entity: "deal:1", Debounce: time.Second, AtOnce: true}
		waits := r
		waits.Rule, waits.AtOnce = "waits", false
		other := r
		other.Entity = "deal:2"
		for _, p := range []struct {
			at     time.Duration
			routes []queue.Route
		}{
			{0, []queue.Route{r, waits}},
			{20 * time.Millisecond, []queue.Route{r}},
			{200 * time.Millisecond, []queue.Route{r}},
			{1500 * time.Millisecond, []queue.Route{r}},
			{10 * time.Second, []queue.Route{r}},
			{10100 * time.Millisecond, []queue.Route{other}},
		} {
			time.Sleep(p.at - time.Since(begun))
			push(t, q, "0", p.routes...)
		}
		waitIdle(t, q)
		want := []string{"r 0s: 1", "waits 1s: 1", "r 1.2s: 2", "r 2.5s: 1", "r 10s: 1", "r 10.1s: 1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}
