package refused_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/refused"
)

var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// TestCounts checks both databases: counts of an hour add up, other portals and kinds are
// independent, and old counts are removed.
func TestCounts(t *testing.T) {
	for name, dsn := range postgres.Each(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, err := queue.Open(t.Context(), dsn, queue.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = q.Close() })
			counts := refused.New(q.Database())
			at := time.Date(2026, 11, 29, 12, 40, 0, 0, time.UTC)
			event := func(portal string, n int, at time.Time, asked string) refused.Count {
				return refused.Count{Portal: portal, Kind: "event", Requests: n, Last: at, Asked: asked}
			}
			check := func(portal string, since, first time.Time, want refused.Count) {
				t.Helper()
				want.First = first
				got, err := counts.Since(t.Context(), portal, "event", since)
				if err != nil {
					t.Fatal(err)
				}
				got.First, got.Last = got.First.UTC(), got.Last.UTC()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", portal, diff)
				}
			}
			check("main", at, time.Time{}, event("main", 0, time.Time{}, ""))
			for _, all := range [][]refused.Count{
				{event("main", 2, at.Add(-24*time.Hour), "main")},
				{event("main", 3, at.Add(-10*time.Minute), "main"), event("", 1, at, "mian")},
				{event("main", 4, at, "Main"), {Portal: "main", Kind: "hook", Requests: 9, Last: at, Asked: "main"}},
			} {
				if err := counts.Add(t.Context(), all...); err != nil {
					t.Fatal(err)
				}
			}
			hour := at.Truncate(time.Hour)
			check("main", at.Add(-time.Hour), hour, event("main", 7, at, "Main"))
			check("main", at.Add(-24*time.Hour), hour.Add(-24*time.Hour), event("main", 9, at, "Main"))
			check("", at.Add(-24*time.Hour), hour, event("", 1, at, "mian"))
			each, err := counts.Each(t.Context(), "event", at.Add(-24*time.Hour))
			if err != nil || len(each) != 2 || each["main"].Requests != 9 || each[""].Requests != 1 {
				t.Errorf("each: %+v, %v", each, err)
			}
			later := at.Add(refused.Kept + time.Hour)
			if err := counts.Add(t.Context(), event("main", 1, later, "main")); err != nil {
				t.Fatal(err)
			}
			check("main", at.Add(-48*time.Hour), later.Truncate(time.Hour), event("main", 1, later, "main"))
			check("", at.Add(-48*time.Hour), hour, event("", 1, at, "mian"))
		})
	}
}
