package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func testRunsAreChosen(t *testing.T) {
	q := openNew(t, queue.Options{})
	for i, portal := range []string{"acme", "acme", "zeta"} {
		e := journal.Event{Portal: portal, Code: "X", Data: json.RawMessage(fmt.Sprint(i))}
		routes := []queue.Route{{Rule: "a", Entity: fmt.Sprint("deal:", i)}, {Rule: "b", Entity: fmt.Sprint("deal:", i)}}
		if err := q.Push(t.Context(), e, routes); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Discard(t.Context(), 5, ""); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter journal.Filter
		want   []int64
	}{
		{"all", journal.Filter{}, []int64{6, 5, 4, 3, 2, 1}},
		{"a page", journal.Filter{Before: 5, Limit: 2}, []int64{4, 3}},
		{"one", journal.Filter{ID: 2}, []int64{2}},
		{"of a portal", journal.Filter{Portal: "acme"}, []int64{4, 3, 2, 1}},
		{"of a rule", journal.Filter{Rule: "b"}, []int64{6, 4, 2}},
		{"of an entity", journal.Filter{Portal: "acme", Entity: "deal:1"}, []int64{4, 3}},
		{"in states", journal.Filter{States: []journal.State{journal.Discarded, journal.Running}}, []int64{5}},
		{"none", journal.Filter{Portal: "acme", Entity: "deal:2"}, nil},
	} {
		var got []int64
		for _, r := range runs(t, q, tt.filter) {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func testLatestEvents(t *testing.T) {
	q := openNew(t, queue.Options{})
	sent := time.Unix(1729797011, 0)
	for i := range 3 {
		e := journal.Event{Portal: "acme", Code: fmt.Sprint("X", i), Sent: sent}
		if err := q.Push(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	push(t, q, "3", queue.Route{Rule: "r", Entity: "deal:1"})
	page, err := journal.FindEvents(t.Context(), q.Database(), journal.EventFilter{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(page) != 2 || page[0].Routes != 1 || page[1].Routes != 0 || page[1].Code != "X2" || !page[1].Sent.Equal(sent) || string(page[1].Data) != "null" {
		t.Fatalf("first page is %+v", page)
	}
	page, err = journal.FindEvents(t.Context(), q.Database(), journal.EventFilter{Before: page[1].ID, Limit: 9})
	if err != nil || len(page) != 2 || page[0].Code != "X1" {
		t.Errorf("second page is %+v, %v", page, err)
	}
}

func testEventsAreChosen(t *testing.T) {
	q := openNew(t, queue.Options{})
	at := time.Unix(1729797011, 0)
	for i, e := range []journal.Event{{Portal: "acme", Code: "A"}, {Portal: "acme", Code: "B"}, {Portal: "other", Code: "A"}} {
		e.Received = at.Add(time.Duration(i) * time.Minute)
		if err := q.Push(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	push(t, q, "4", queue.Route{Rule: "r", Entity: "deal:1"})
	for _, tt := range []struct {
		name   string
		filter journal.EventFilter
		want   []int64
	}{
		{"all", journal.EventFilter{}, []int64{4, 3, 2, 1}},
		{"by id", journal.EventFilter{ID: 2}, []int64{2}},
		{"of a portal", journal.EventFilter{Portal: "other"}, []int64{3}},
		{"of a code", journal.EventFilter{Code: "A"}, []int64{3, 1}},
		{"without a rule", journal.EventFilter{NoRule: true, Portal: "acme"}, []int64{2, 1}},
		{"since", journal.EventFilter{From: at.Add(time.Minute), NoRule: true}, []int64{3, 2}},
		{"a page", journal.EventFilter{Before: 4, Limit: 2}, []int64{3, 2}},
		{"none", journal.EventFilter{Code: "X"}, nil},
	} {
		events, err := journal.FindEvents(t.Context(), q.Database(), tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range events {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func testWorkWithAnEndedContext(t *testing.T) {
	q := openNew(t, queue.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Work(ctx, func(context.Context, *queue.Run) error { return nil }); err != nil {
		t.Error(err)
	}
}

func testWaitIdleEndsWithItsContext(t *testing.T) {
	q := openNew(t, queue.Options{})
	push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := q.WaitIdle(ctx); err == nil {
		t.Error("idle with a run that waits")
	}
}

func testBacklogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		due := time.Now()
		for i, portal := range []string{"acme", "acme", "zeta"} {
			e := journal.Event{Portal: portal, Code: "X"}
			if err := q.Push(t.Context(), e, []queue.Route{{Rule: "r", Entity: fmt.Sprint("deal:", i)}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		got, err := journal.Backlogs(t.Context(), q.Database())
		want := []journal.Backlog{{Portal: "acme", State: journal.Waiting, Runs: 2, Due: due}, {Portal: "zeta", State: journal.Waiting, Runs: 1, Due: due.Add(2 * time.Second)}}
		if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Millisecond)); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if r.Entity == "deal:1" {
				return queue.Park(errPortal)
			}
			return nil
		})
		waitIdle(t, q)
		got, err = journal.Backlogs(t.Context(), q.Database())
		if err != nil || len(got) != 1 || got[0].State != journal.Parked || got[0].Runs != 1 {
			t.Errorf("after the work: %+v, %v; want one parked", got, err)
		}
	})
}
