package queue_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

func testWhatIsPausedDoesNotStart(t *testing.T) {
	for _, tt := range []struct {
		name         string
		portal, rule string
		want         []string // what starts nevertheless
	}{
		{"a portal", "acme", "", []string{"zeta a", "zeta b"}},
		{"a rule of a portal", "acme", "a", []string{"acme b", "zeta a", "zeta b"}},
		{"a rule everywhere", "", "a", []string{"acme b", "zeta b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{})
				if err := q.Pause(t.Context(), tt.portal, tt.rule, "stocktaking"); err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				started := map[string]time.Duration{}
				begun := time.Now()
				work(t, q, func(_ context.Context, r *queue.Run) error {
					mu.Lock()
					defer mu.Unlock()
					started[r.Portal+" "+r.Rule] = time.Since(begun).Round(time.Second)
					return nil
				})
				for _, portal := range []string{"acme", "zeta"} {
					e := journal.Event{Portal: portal, Code: "X"}
					if err := q.Push(t.Context(), e, []queue.Route{{Rule: "a", Entity: "deal:1"}, {Rule: "b", Entity: "deal:1"}}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				want := map[string]time.Duration{"acme a": time.Minute, "acme b": time.Minute, "zeta a": time.Minute, "zeta b": time.Minute}
				for _, name := range tt.want {
					want[name] = 0
				}
				if p, err := q.Pauses(t.Context()); err != nil || len(p) != 1 || p[0].Reason != "stocktaking" || p[0].Since.After(begun) {
					t.Errorf("pauses are %+v, %v", p, err)
				}
				if was, err := q.Resume(t.Context(), tt.portal, tt.rule); err != nil || !was {
					t.Errorf("resume: %v, %v", was, err)
				}
				if was, err := q.Resume(t.Context(), tt.portal, tt.rule); err != nil || was {
					t.Errorf("resume again: %v, %v", was, err)
				}
				waitIdle(t, q)
				mu.Lock()
				defer mu.Unlock()
				if diff := cmp.Diff(want, started); diff != "" {
					t.Errorf("starts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A pause makes queued runs wait again, and unblocks the runs that they blocked.
func testAPauseReachesWhatWaitsForAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Workers: 1})
		j := newRunLog()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			j.note(r)
			time.Sleep(10 * time.Second)
			return nil
		})
		push(t, q, "0", queue.Route{Rule: "slow", Entity: "deal:1"})
		time.Sleep(time.Second)
		push(t, q, "1", queue.Route{Rule: "paused", Entity: "deal:2"}) // handed on; the one worker is busy
		push(t, q, "2", queue.Route{Rule: "other", Entity: "deal:2"})  // blocked by that
		time.Sleep(time.Second)
		if err := q.Pause(t.Context(), "acme", "paused", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := q.Resume(t.Context(), "acme", "paused"); err != nil {
			t.Fatal(err)
		}
		waitIdle(t, q)
		var got []string
		for _, e := range j.all() {
			got = append(got, e.At.String()+" "+e.Rule)
		}
		if diff := cmp.Diff([]string{"0s slow", "10s other", "1m2s paused"}, got); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func testPauseWantsSomething(t *testing.T) {
	if err := openNew(t, queue.Options{}).Pause(t.Context(), "", "", "all"); err == nil {
		t.Error("pausing nothing was accepted")
	}
}
