package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"

	"github.com/google/go-cmp/cmp"
)

// backfill pushes a page of runs of rule r.
func backfill(t testing.TB, q *queue.Queue, entities ...string) queue.BackfillResult {
	t.Helper()
	var routes []queue.Route
	for _, e := range entities {
		routes = append(routes, queue.Route{Rule: "r", Entity: e})
	}
	result, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: "SYNC", Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func testLiveRunsGoBeforeBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Workers: 1})
		var mu sync.Mutex // a live run starts next to one of a backfill
		var order []string
		work(t, q, func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			order = append(order, r.Entity)
			mu.Unlock()
			time.Sleep(time.Second)
			return nil
		})
		backfill(t, q, "deal:1", "deal:2", "deal:3", "deal:4", "deal:5")
		time.Sleep(1500 * time.Millisecond) // deal:2 is running
		for i, entity := range []string{"deal:5", "deal:6", "deal:3"} {
			push(t, q, fmt.Sprint(i), queue.Route{Rule: "r", Entity: entity})
			time.Sleep(time.Millisecond)
		}
		waitIdle(t, q)
		want := []string{"deal:1", "deal:2", "deal:5", "deal:6", "deal:3", "deal:4"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		for _, r := range runs(t, q, journal.Filter{}) {
			live := r.Entity == "deal:3" || r.Entity == "deal:5" || r.Entity == "deal:6"
			if (r.Priority == journal.Live) != live || r.Count != len(eventsOf(t, q, r.ID)) {
				t.Errorf("run of %s is %s with %d of %d events", r.Entity, r.Priority, r.Count, len(eventsOf(t, q, r.ID)))
			}
		}
	})
}

// A run that waits behind others starts before them.
func testAnEventBringsABackfillForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Workers: 2})
		var mu sync.Mutex
		var order []string
		work(t, q, func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			order = append(order, r.Entity)
			mu.Unlock()
			time.Sleep(10 * time.Second)
			return nil
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"}, queue.Route{Rule: "r", Entity: "deal:2"})
		time.Sleep(time.Second)
		backfill(t, q, "deal:3", "deal:4")
		time.Sleep(time.Second)
		if n := stats(t, q).Runs[journal.Waiting]; n != 2 {
			t.Fatalf("%d runs wait, want the two of the backfill", n)
		}
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:5"})
		time.Sleep(time.Second)
		push(t, q, "2", queue.Route{Rule: "r", Entity: "deal:4"})
		waitIdle(t, q)
		if diff := cmp.Diff([]string{"deal:4", "deal:5", "deal:3"}, append(sorted(order[2:4]), order[4:]...)); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// sorted puts two runs that start at the same time into an order.
func sorted(two []string) []string { return slices.Sorted(slices.Values(two)) }

func eventsOf(t testing.TB, q *queue.Queue, run int64) []journal.Event {
	t.Helper()
	events, err := journal.EventsOf(t.Context(), q.Database(), run)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// A backfill does not change pending runs; an event makes the runs of a backfill
// live ones, with the debounce of an event.
func testBackfillAndEventsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1", Debounce: time.Minute})
		got := backfill(t, q, "deal:1", "deal:2")
		if want := (queue.BackfillResult{Event: got.Event, Started: 1, Joined: 1}); got != want || got.Event == 0 {
			t.Errorf("backfill: %+v, want %+v", got, want)
		}
		if got := backfill(t, q, "deal:1", "deal:2"); got != (queue.BackfillResult{Joined: 2}) {
			t.Errorf("the same again: %+v, want both joined and no event", got)
		}
		time.Sleep(time.Hour)
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:2", Debounce: 10 * time.Second})
		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error { j.note(r); return nil })
		waitIdle(t, q)
		want := []entry{
			{Rule: "r", Entity: "deal:1", Count: 1, Attempt: 1, Data: "0"},
			{At: 10 * time.Second, Rule: "r", Entity: "deal:2", Count: 2, Attempt: 1, Data: "1"},
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if s := stats(t, q); s.Events != 3 {
			t.Errorf("%d events, want the two pushed and that of the backfill", s.Events)
		}
	})
}

func testABackfillKeepsItsPlace(t *testing.T) {
	q := openNew(t, queue.Options{})
	page := queue.Page{Portal: "acme", Code: "SYNC"}
	for i := range 50 {
		page.Routes = append(page.Routes, queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i)})
	}
	var stored queue.BackfillResult
	place := func(value string, after error) {
		page.With = func(ctx context.Context, tx store.Tx, r queue.BackfillResult) error {
			stored = r
			_, err := tx.Exec(ctx, `INSERT INTO b24_note (name, value, set_at) VALUES ('place', $1, 0) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, value)
			return errors.Join(err, after)
		}
	}
	check := func(want string) {
		t.Helper()
		if n, _, err := notes.Get(t.Context(), q.Database(), "place"); err != nil || n.Value != want {
			t.Errorf("place is %+v, %v, want %s", n, err, want)
		}
	}
	place("7", errPortal)
	if _, err := q.Backfill(t.Context(), page); !errors.Is(err, errPortal) || len(runs(t, q, journal.Filter{})) > 0 {
		t.Errorf("a page whose place cannot be stored: %v, want %v and no runs", err, errPortal)
	}
	check("")
	place("57", nil)
	result, err := q.Backfill(t.Context(), page)
	if err != nil || result != stored {
		t.Fatalf("result %+v, with the place %+v, %v", result, stored, err)
	}
	check("57")
	if n := len(runs(t, q, journal.Filter{Event: result.Event})); n != 50 {
		t.Errorf("%d runs of the page's event, want 50", n)
	}
	page.Routes = append(page.Routes, queue.Route{Entity: "deal:1"})
	place("58", nil)
	if _, err := q.Backfill(t.Context(), page); err == nil {
		t.Error("a route without a rule was accepted")
	}
	page.Routes = make([]queue.Route, 1001)
	for i := range page.Routes {
		page.Routes[i] = queue.Route{Rule: "r", Entity: "deal:1"}
	}
	if _, err := q.Backfill(t.Context(), page); err == nil {
		t.Error("a page of 1,001 was accepted")
	}
	check("57")
}

func testTallyCountsABackfill(t *testing.T) {
	q := openNew(t, queue.Options{})
	push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"})
	page := func(code string, routes ...queue.Route) queue.BackfillResult {
		r, err := q.Backfill(t.Context(), queue.Page{Portal: "acme", Code: code, Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := page("SYNC", queue.Route{Rule: "r", Entity: "deal:2"})
	first := page("SYNC", queue.Route{Rule: "r", Entity: "deal:3"}, queue.Route{Rule: "s", Entity: "deal:3"}, queue.Route{Rule: "r", Entity: "deal:1"})
	// Unfinished runs of all pages count.
	page("OTHER", queue.Route{Rule: "r", Entity: "deal:4"})
	for _, tt := range []struct {
		rule  string
		since int64
		want  int
	}{{"", first.Event, 4}, {"r", first.Event, 3}, {"r", before.Event, 3}, {"x", before.Event, 0}} {
		got, err := journal.Tally(t.Context(), q.Database(), "acme", "SYNC", tt.rule, tt.since)
		if err != nil || got[journal.Waiting] != tt.want {
			t.Errorf("rule %q since %d: %v, %v; want %d waiting", tt.rule, tt.since, got, err, tt.want)
		}
		if n, err := journal.Pending(t.Context(), q.Database(), "acme", tt.rule); err != nil || n != tt.want {
			t.Errorf("rule %q: %d pending, %v; want %d", tt.rule, n, err, tt.want)
		}
	}
}
