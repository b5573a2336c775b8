package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// testUnroutedEvents checks that events that rule sets have not seen outlive their retention,
// and are routed once, in their order, for the rule sets that run. A failure in the
// middle of it, like a crash, loses none and routes none twice.
func testUnroutedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{RetainEvents: time.Hour, RetainSucceeded: time.Hour})
		const events = 250 // three transactions
		for n := range events {
			e := journal.Event{Portal: "acme", Code: "X", Data: json.RawMessage(fmt.Sprint(n)), Missing: []string{"broken", "late"}}
			if err := q.Push(t.Context(), e, []queue.Route{{Rule: "fine", Entity: "deal:1"}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Push(t.Context(), journal.Event{Portal: "zeta", Code: "X", Missing: []string{"broken"}}, nil); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		ran := map[string]int{}
		do := func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			defer mu.Unlock()
			ran[r.Rule+" "+r.Entity] += r.Count
			return nil
		}
		time.Sleep(2 * time.Hour)
		stop := work(t, q, do)
		time.Sleep(time.Minute) // old events are deleted
		var order []string
		route := func(still ...string) func(journal.Event) ([]queue.Route, []string, error) {
			return func(e journal.Event) ([]queue.Route, []string, error) {
				order = append(order, string(e.Data))
				return []queue.Route{{Rule: "late", Entity: "deal:2"}}, still, nil
			}
		}
		// The process ends in the second transaction.
		crash := errors.New("crash")
		n, err := q.RouteAgain(t.Context(), "acme", func(e journal.Event) ([]queue.Route, []string, error) {
			if string(e.Data) == "120" {
				return nil, nil, crash
			}
			return route("broken")(e)
		})
		if n != 100 || !errors.Is(err, crash) {
			t.Errorf("%d events, %v; want the first transaction", n, err)
		}
		order = order[:100]
		if n, err := q.RouteAgain(t.Context(), "acme", func(e journal.Event) ([]queue.Route, []string, error) {
			if slices.Equal(e.Missing, []string{"broken"}) {
				return nil, e.Missing, nil
			}
			return route("broken")(e)
		}); n != events-100 || err != nil {
			t.Errorf("%d events, %v; want the others", n, err)
		}
		if !slices.IsSortedFunc(order, func(a, b string) int { return len(a) - len(b) }) || len(order) != events {
			t.Errorf("%d events were routed, in the order %v", len(order), order)
		}
		all, err := journal.Unrouted(t.Context(), q.Database())
		want := []journal.UnroutedEvents{{Portal: "acme", Missing: []string{"broken"}, Events: events}, {Portal: "zeta", Missing: []string{"broken"}, Events: 1}}
		if diff := cmp.Diff(want, all); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		waitIdle(t, q)
		for _, portal := range []string{"acme", "zeta"} {
			if _, err := q.RouteAgain(t.Context(), portal, func(journal.Event) ([]queue.Route, []string, error) { return nil, nil, nil }); err != nil {
				t.Error(err)
			}
		}
		mu.Lock()
		if diff := cmp.Diff(map[string]int{"fine deal:1": events, "late deal:2": events}, ran); diff != "" {
			t.Errorf("events of runs (-want +got):\n%s", diff)
		}
		mu.Unlock()
		stop()
		time.Sleep(2 * time.Hour) // now that all have seen them, they go
		if err := q.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := stats(t, q); s.Events != 0 {
			t.Errorf("%d events are left", s.Events)
		}
	})
}
