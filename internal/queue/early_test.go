package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// testARunThatAwaitsAnEvent: an event starts it at its own time and makes it live, without one it
// starts at the latest time. What the portal has postponed waits even then.
func testARunThatAwaitsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		begun := time.Now()
		until := begun.Add(10 * time.Minute)
		got := map[string]string{}
		var mu sync.Mutex
		work(t, q, func(_ context.Context, r *queue.Run) error {
			switch {
			case r.Event.Code == "LOOK" && time.Now().Before(until) && r.Entity != "deal:3":
				return queue.AwaitEvent(until, errors.New("too soon"))
			case r.Entity == "deal:3" && time.Now().Before(until):
				return queue.Postpone(until, errPortal)
			}
			mu.Lock()
			defer mu.Unlock()
			got[r.Entity] = fmt.Sprintf("%s %d, attempt %d, after %s", r.Priority, r.Count, r.Attempt, time.Since(begun).Round(time.Minute))
			return nil
		})
		var routes []queue.Route
		for _, entity := range []string{"deal:1", "deal:2", "deal:3"} {
			routes = append(routes, queue.Route{Rule: "r", Entity: entity, Debounce: time.Second})
		}
		if _, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: "LOOK", Routes: routes}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		push(t, q, "0", routes[0], routes[2])
		waitIdle(t, q)
		want := map[string]string{
			"deal:1": "live 2, attempt 1, after 1m0s",
			"deal:2": "backfill 1, attempt 1, after 10m0s",
			"deal:3": "live 2, attempt 1, after 10m0s",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}
