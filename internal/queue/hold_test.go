package queue_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// testWhatIsHeldDoesNotStart checks that a hold keeps runs from starting, without an
// attempt, until it ends.
func testWhatIsHeldDoesNotStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule string
		want []string // what starts nevertheless
	}{
		{"a portal", "", []string{"zeta a", "zeta b"}},
		{"a rule of a portal", "a", []string{"acme b", "zeta a", "zeta b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{})
				begun := time.Now().Truncate(time.Microsecond)
				hold := queue.Hold{Portal: "acme", Rule: tt.rule, Cause: "unreachable", Reason: "no network", Since: begun, Probe: begun.Add(time.Minute)}
				for range 2 { // the second one replaces the first
					if err := q.SetHold(t.Context(), hold); err != nil {
						t.Fatal(err)
					}
				}
				var mu sync.Mutex
				started := map[string]time.Duration{}
				work(t, q, func(_ context.Context, r *queue.Run) error {
					mu.Lock()
					defer mu.Unlock()
					if r.Attempt != 1 {
						t.Errorf("attempt %d", r.Attempt)
					}
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
				holds, err := q.HoldList(t.Context())
				if err != nil || len(holds) != 1 || !cmp.Equal(holds[0], hold) {
					t.Errorf("holds are %v, %v\nwant %v", holds, err, hold)
				}
				if n, err := q.ProbeNow(t.Context(), "acme", ""); n != 1 || err != nil {
					t.Errorf("probe now: %d holds, %v", n, err)
				}
				if n, err := q.ProbeNow(t.Context(), "zeta", ""); n != 0 || err != nil {
					t.Errorf("probe now of another portal: %d holds, %v", n, err)
				}
				if holds, err = q.HoldList(t.Context()); err != nil || len(holds) != 1 || holds[0].Probe.After(begun) {
					t.Errorf("holds are %v, %v: no probe is due", holds, err)
				}
				for range 2 {
					if err := q.EndHold(t.Context(), "acme", tt.rule); err != nil {
						t.Fatal(err)
					}
				}
				waitIdle(t, q)
				want := map[string]time.Duration{"acme a": time.Minute, "acme b": time.Minute, "zeta a": time.Minute, "zeta b": time.Minute}
				for _, name := range tt.want {
					want[name] = 0
				}
				mu.Lock()
				defer mu.Unlock()
				if diff := cmp.Diff(want, started); diff != "" {
					t.Errorf("started after (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// testOneRunPasses checks that LetThrough lets exactly one run of a held rule start,
// first one that has not failed, and that the end of the hold starts those that wait for
// a retry.
func testOneRunPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{RetryFirst: noRetry, RetryMax: noRetry})
		begun := time.Now().Truncate(time.Microsecond)
		var mu sync.Mutex
		var started []string
		fails := errPortal
		work(t, q, func(_ context.Context, r *queue.Run) error {
			mu.Lock()
			defer mu.Unlock()
			started = append(started, r.Entity)
			return fails
		})
		push(t, q, "0", queue.Route{Rule: "a", Entity: "deal:1"})
		synctest.Wait()
		hold := queue.Hold{Portal: "acme", Rule: "a", Cause: "stopped", Reason: "denied", Since: begun, Probe: begun.Add(time.Minute)}
		if err := q.SetHold(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
		if run, err := q.LetThrough(t.Context(), "acme", "b", begun); run != 0 || err != nil {
			t.Errorf("run %d passes though none waits, %v", run, err)
		}
		for _, deal := range []string{"deal:2", "deal:3"} {
			push(t, q, "0", queue.Route{Rule: "a", Entity: deal})
		}
		next := begun.Add(5 * time.Minute)
		run, err := q.LetThrough(t.Context(), "acme", "a", next)
		if err != nil || run == 0 {
			t.Fatalf("run %d passes, %v", run, err)
		}
		time.Sleep(time.Second)
		hold.Pass, hold.Probe = run, next
		holds, err := q.HoldList(t.Context())
		if err != nil || len(holds) != 1 || !cmp.Equal(holds[0], hold) {
			t.Errorf("holds are %v, %v\nwant %v", holds, err, hold)
		}
		mu.Lock()
		if want := []string{"deal:1", "deal:2"}; !cmp.Equal(want, started) {
			t.Errorf("%v started, want %v", started, want)
		}
		fails = nil
		mu.Unlock()
		if b, err := journal.Backlogs(t.Context(), q.Database()); err != nil || len(b) != 1 || b[0].Runs != 3 || !b[0].Due.After(begun) {
			t.Errorf("backlogs are %+v, %v; want three waiting runs, and only the one that may pass is due", b, err)
		}
		if err := q.EndHold(t.Context(), "acme", "a"); err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		waitIdle(t, q)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the runs that waited for a retry took %v after the end of the hold", took)
		}
	})
}
