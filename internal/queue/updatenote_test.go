package queue_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

func testNotesAreUpdatedByOneProcessAtATime(t *testing.T) {
	dsn := newDSN(t)
	// Two queues on one database behave like two processes.
	one, other := openDSN(t, dsn, queue.Options{}), openDSN(t, dsn, queue.Options{})
	var wg sync.WaitGroup
	for i := range 20 {
		q := one
		if i%2 == 1 {
			q = other
		}
		wg.Go(func() {
			err := q.UpdateNote(t.Context(), "count", func(_ context.Context, old string) (string, error) {
				n, _ := strconv.Atoi(old)
				time.Sleep(time.Millisecond)
				return strconv.Itoa(n + 1), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n, ok, err := one.Note(t.Context(), "count")
	if n.Value != "20" || !ok || err != nil {
		t.Errorf("the note is %q, %v, %v; want 20 updates", n.Value, ok, err)
	}
}

func testAFailedUpdateKeepsTheNote(t *testing.T) {
	q := openNew(t, queue.Options{})
	if err := q.SetNote(t.Context(), "n", "before"); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("no")
	err := q.UpdateNote(t.Context(), "n", func(context.Context, string) (string, error) { return "after", mine })
	if !errors.Is(err, mine) {
		t.Errorf("error is %v, want that of the change", err)
	}
	if n, _, _ := q.Note(t.Context(), "n"); n.Value != "before" {
		t.Errorf("the note is %q", n.Value)
	}
	// The claim is free again, and the note is stored even if the caller gives up in
	// the middle.
	ctx, cancel := context.WithCancel(t.Context())
	err = q.UpdateNote(ctx, "n", func(ctx context.Context, _ string) (string, error) {
		cancel()
		return "after", ctx.Err()
	})
	if n, _, _ := q.Note(t.Context(), "n"); n.Value != "after" || err != nil {
		t.Errorf("the note is %q, %v", n.Value, err)
	}
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
