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

	"github.com/b24rules/b24rules/internal/queue"

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
		var order []string
		work(t, q, func(_ context.Context, r *queue.Run) error {
			order = append(order, r.Entity)
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
		for _, r := range runs(t, q, queue.Filter{}) {
			live := r.Entity == "deal:3" || r.Entity == "deal:5" || r.Entity == "deal:6"
			if (r.Priority == queue.Live) != live || r.Count != len(eventsOf(t, q, r.ID)) {
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
		if n := stats(t, q).Runs[queue.Waiting]; n != 2 {
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

func eventsOf(t testing.TB, q *queue.Queue, run int64) []queue.Event {
	t.Helper()
	events, err := q.Events(t.Context(), run)
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
		j := newJournal()
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
	page := queue.Page{Portal: "acme", Code: "SYNC", Note: queue.Note{Name: "sync acme r", Value: "57"}}
	for i := range 50 {
		page.Routes = append(page.Routes, queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i)})
	}
	if _, err := q.Backfill(t.Context(), page); !errors.Is(err, queue.ErrMoved) {
		t.Errorf("a page whose note was deleted: %v, want %v", err, queue.ErrMoved)
	}
	if err := q.SetNote(t.Context(), "sync acme r", "7"); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Backfill(t.Context(), page); !errors.Is(err, queue.ErrMoved) || len(runs(t, q, queue.Filter{})) > 0 {
		t.Errorf("a page whose note was changed: %v, want %v and no runs", err, queue.ErrMoved)
	}
	page.NoteWas = "7"
	result, err := q.Backfill(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok, err := q.Note(t.Context(), "sync acme r"); err != nil || !ok || n.Value != "57" || time.Since(n.Set) > time.Minute {
		t.Errorf("note is %+v, %v, %v", n, ok, err)
	}
	if n := len(runs(t, q, queue.Filter{Event: result.Event})); n != 50 {
		t.Errorf("%d runs of the page's event, want 50", n)
	}
	page.Routes = append(page.Routes, queue.Route{Entity: "deal:1"})
	page.NoteWas, page.Note.Value = "57", "58"
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
	if n, _, err := q.Note(t.Context(), "sync acme r"); err != nil || n.Value != "57" {
		t.Errorf("note is %+v, %v after pages that were refused", n, err)
	}
}

func testNotes(t *testing.T) {
	q := openNew(t, queue.Options{})
	for _, name := range []string{"sync b", "sync a", "alive"} {
		if err := q.SetNote(t.Context(), name, "of "+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.SetNote(t.Context(), "sync a", "anew"); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"of sync a", "anew"} {
		if was, err := q.SwapNote(t.Context(), "sync a", old, "swapped"); err != nil || was != (old == "anew") {
			t.Errorf("swap %q: %v, %v", old, was, err)
		}
	}
	if was, err := q.SwapNote(t.Context(), "sync c", "", "swapped"); err != nil || was {
		t.Errorf("swap a note that is not there: %v, %v", was, err)
	}
	if err := q.SetNote(t.Context(), "", ""); err == nil {
		t.Error("a note without a name was accepted")
	}
	notes, err := q.Notes(t.Context(), "sync ")
	if err != nil || len(notes) != 2 || notes[0].Value != "swapped" || notes[1].Value != "of sync b" {
		t.Errorf("notes are %+v, %v", notes, err)
	}
	if err := q.DeleteNote(t.Context(), "alive"); err != nil {
		t.Fatal(err)
	}
	if n, ok, err := q.Note(t.Context(), "alive"); err != nil || ok {
		t.Errorf("deleted note is %+v, %v", n, err)
	}
}
