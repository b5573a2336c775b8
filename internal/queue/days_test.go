package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Runs are counted on the day of their first event, by what they did. Runs that sleep count on no day
// yet, and those of an older version as what they did is not known.
func testDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		work(t, q, func(_ context.Context, r *queue.Run) error {
			switch r.Rule {
			case "wrote":
				r.Describe("done", 2)
			case "nothing":
				r.Describe("done", 0)
			case "skipped":
				r.Describe("skipped", 0)
			case "parked":
				return errPortal
			}
			return nil
		})
		midnight := time.Now().Truncate(24 * time.Hour)
		if has, err := journal.HasNotRecorded(t.Context(), q.Database()); err != nil || has {
			t.Errorf("an empty database has runs without an outcome: %v", err)
		}
		for day := range 3 { // days 1 and 2 are counted; no day passes here, because the workers look for work every second
			e := journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE", Received: midnight.Add(time.Duration(day-3) * 24 * time.Hour)}
			for i, rule := range []string{"old", "wrote", "wrote", "nothing", "skipped", "parked"} {
				if rule == "old" && day != 1 {
					continue
				}
				if err := q.Push(t.Context(), e, []queue.Route{{Rule: rule, Entity: fmt.Sprint("deal:", 10*day+i)}}); err != nil {
					t.Fatal(err)
				}
			}
			waitIdle(t, q)
		}
		days := []time.Time{midnight.Add(-24 * time.Hour), midnight.Add(-48 * time.Hour)}
		got, since, err := journal.CountDays(t.Context(), q.Database(), journal.Filter{Portal: "acme"}, days, 0)
		if err != nil || !since.IsZero() {
			t.Fatalf("since %s: %v", since, err)
		}
		slices.SortFunc(got, func(a, b journal.DayCount) int { return cmp.Or(a.Day-b.Day, cmp.Compare(a.Rule, b.Rule)) })
		want := []journal.DayCount{
			{Day: 0, Rule: "nothing", RunCounts: journal.RunCounts{Runs: 1, Nothing: 1}},
			{Day: 0, Rule: "parked", RunCounts: journal.RunCounts{Runs: 1, Parked: 1}},
			{Day: 0, Rule: "skipped", RunCounts: journal.RunCounts{Runs: 1}},
			{Day: 0, Rule: "wrote", RunCounts: journal.RunCounts{Runs: 2, Wrote: 2}},
			{Day: 1, Rule: "nothing", RunCounts: journal.RunCounts{Runs: 1, Nothing: 1}},
			{Day: 1, Rule: "old", RunCounts: journal.RunCounts{Runs: 1, NotRecorded: 1}},
			{Day: 1, Rule: "parked", RunCounts: journal.RunCounts{Runs: 1, Parked: 1}},
			{Day: 1, Rule: "skipped", RunCounts: journal.RunCounts{Runs: 1}},
			{Day: 1, Rule: "wrote", RunCounts: journal.RunCounts{Runs: 2, Wrote: 2}},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, f := range []journal.Filter{{Portal: "other"}, {Rule: "other"}, {Portals: []string{}}} {
			if got, _, err := journal.CountDays(t.Context(), q.Database(), f, days, 0); err != nil || len(got) > 0 {
				t.Errorf("%+v: %v, %v", f, got, err)
			}
		}
		if got, _, err := journal.CountDays(t.Context(), q.Database(), journal.Filter{Rule: "wrote"}, days[:1], 0); err != nil || len(got) != 1 || got[0].Wrote != 2 {
			t.Errorf("the runs of a rule: %v, %v", got, err)
		}
	})
}

func testRunsWithoutAnOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		work(t, q, func(context.Context, *queue.Run) error { return nil })
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		if has, err := journal.HasNotRecorded(t.Context(), q.Database()); err != nil || !has {
			t.Errorf("%t, %v", has, err)
		}
	})
}
