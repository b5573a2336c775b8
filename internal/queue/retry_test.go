package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var errPortal = errors.New("portal: 500")

// TestAFailingRunIsRetriedForADay checks the default: about a day, with waits up to an
// hour. It runs on SQLite only: the workers look for work every second of the day, and the
// waits do not depend on the database.
func TestAFailingRunIsRetriedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		var starts []time.Time
		work(t, q, func(_ context.Context, r *queue.Run) error {
			starts = append(starts, r.Started)
			return errPortal
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		var longest time.Duration
		for i := 1; i < len(starts); i++ {
			longest = max(longest, starts[i].Sub(starts[i-1]))
		}
		took := starts[len(starts)-1].Sub(starts[0])
		if took < 14*time.Hour || took > 34*time.Hour || longest < 50*time.Minute || longest > time.Hour+time.Second || len(starts) > 70 {
			t.Errorf("%d attempts in %v, the longest wait was %v", len(starts), took, longest)
		}
		if run := runs(t, q, journal.Filter{States: []journal.State{journal.Parked}}); len(run) != 1 || run[0].MaxAttempts != len(starts) {
			t.Errorf("parked runs are %+v", run)
		}
	})
}

// noRetry is how long runs wait for a retry that a test does not expect. The wait is a random one up
// to this, and of a million one is shorter than a minute.
const noRetry = 1e6 * time.Minute

func testAFailingRunIsRetriedAndThenParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 8})
		var starts []time.Time
		work(t, q, func(_ context.Context, r *queue.Run) error {
			starts = append(starts, r.Started)
			r.Record([]byte(`{"step":1}`))
			return errPortal
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)

		if len(starts) != 8 {
			t.Fatalf("%d attempts, want 8", len(starts))
		}
		limit := 5 * time.Second
		for i := 1; i < len(starts); i++ {
			if wait := starts[i].Sub(starts[i-1]); wait > limit+20*time.Millisecond {
				t.Errorf("wait %d was %v, want at most %v", i, wait, limit)
			}
			limit *= 2
		}
		run := runs(t, q, journal.Filter{States: []journal.State{journal.Parked}})
		if len(run) != 1 || run[0].Error != errPortal.Error() || run[0].Attempt != 8 || run[0].Finished.IsZero() {
			t.Fatalf("parked runs are %+v", run)
		}
		attempts, err := journal.Attempts(t.Context(), q.Database(), run[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		var want []journal.Attempt
		for n := 1; n <= 8; n++ {
			want = append(want, journal.Attempt{Number: n, Outcome: journal.OutcomeFailed, Error: errPortal.Error(), Record: []byte(`{"step":1}`)})
		}
		want[7].Outcome = journal.OutcomeParked
		if diff := cmp.Diff(want, attempts, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func testBackoffIsBoundedAndJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 60, RetryFirst: time.Second, RetryMax: 4 * time.Second})
		var waits []time.Duration
		last := time.Now()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			waits = append(waits, time.Since(last))
			last = time.Now()
			return errPortal
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		longest, short := time.Duration(0), 0
		for _, w := range waits[3:] {
			longest = max(longest, w)
			if w < 2*time.Second {
				short++
			}
		}
		// 57 waits, each anywhere up to 4 seconds: all below 2, or all above, is
		// as likely as 1 in 10^17.
		if longest > 4*time.Second+20*time.Millisecond || longest < 2*time.Second || short == 0 {
			t.Errorf("the longest wait is %v and %d of %d are short, want them spread up to 4s", longest, short, len(waits)-3)
		}
	})
}

func testResultsOfAnAttempt(t *testing.T) {
	for _, tt := range []struct {
		name     string
		route    queue.Route
		result   func(r *queue.Run) error
		starts   []time.Duration
		state    journal.State
		error    string
		outcomes []journal.Outcome
	}{
		{
			"success",
			queue.Route{},
			func(*queue.Run) error { return nil },
			[]time.Duration{0},
			journal.Succeeded, "",
			[]journal.Outcome{journal.OutcomeSucceeded},
		},
		{"success after a failure forgets the error", queue.Route{}, func(r *queue.Run) error {
			if r.Attempt == 1 {
				return errPortal
			}
			return nil
		}, []time.Duration{0, 0}, journal.Succeeded, "", []journal.Outcome{journal.OutcomeFailed, journal.OutcomeSucceeded}},
		{
			"parked at once",
			queue.Route{},
			func(*queue.Run) error { return queue.Park(errors.New("delete limit")) },
			[]time.Duration{0},
			journal.Parked, "delete limit",
			[]journal.Outcome{journal.OutcomeParked},
		},
		{
			"a route's own attempts",
			queue.Route{Attempts: 2},
			func(*queue.Run) error { return errPortal },
			[]time.Duration{0, 0},
			journal.Parked, errPortal.Error(),
			[]journal.Outcome{journal.OutcomeFailed, journal.OutcomeParked},
		},
		{
			"postponed is no attempt, and of many the last is kept",
			queue.Route{Attempts: 1},
			func(r *queue.Run) error {
				if time.Since(r.First) < 3*time.Minute {
					return queue.Postpone(time.Now().Add(time.Minute), errPortal)
				}
				return nil
			},
			[]time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute},
			journal.Succeeded, "",
			[]journal.Outcome{journal.OutcomePostponed, journal.OutcomeSucceeded},
		},
		{
			"a panic is a failure",
			queue.Route{Attempts: 1},
			func(*queue.Run) error { panic("ouch") },
			[]time.Duration{0},
			journal.Parked, "panic: ouch",
			[]journal.Outcome{journal.OutcomeParked},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{RetryFirst: time.Microsecond, RetryMax: time.Microsecond})
				j := newRunLog()
				work(t, q, func(_ context.Context, r *queue.Run) error { j.note(r); return tt.result(r) })
				tt.route.Rule, tt.route.Entity = "r", "deal:1"
				push(t, q, "0", tt.route)
				waitIdle(t, q)
				var starts []time.Duration
				for _, e := range j.all() {
					starts = append(starts, e.At)
				}
				if diff := cmp.Diff(tt.starts, starts); diff != "" {
					t.Errorf("starts (-want +got):\n%s", diff)
				}
				run := runs(t, q, journal.Filter{})[0]
				if run.State != tt.state || !strings.HasPrefix(run.Error, tt.error) || (tt.error == "") != (run.Error == "") {
					t.Errorf("run is %s with error %q, want %s with %q", run.State, run.Error, tt.state, tt.error)
				}
				attempts, err := journal.Attempts(t.Context(), q.Database(), run.ID)
				if err != nil {
					t.Fatal(err)
				}
				var outcomes []journal.Outcome
				for _, a := range attempts {
					outcomes = append(outcomes, a.Outcome)
				}
				if diff := cmp.Diff(tt.outcomes, outcomes); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func testANewEventBringsARetryForward(t *testing.T) {
	failed := errPortal
	for _, tt := range []struct {
		name   string
		result func(begun time.Time) error // of all attempts before the event
		want   time.Duration
	}{
		{"that failed", func(time.Time) error { return failed }, 3 * time.Minute},
		{
			"but not one that the portal postponed",
			func(begun time.Time) error { return queue.Postpone(begun.Add(10*time.Minute), failed) }, 10 * time.Minute,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{RetryFirst: noRetry, RetryMax: noRetry})
				j := newRunLog()
				work(t, q, func(_ context.Context, r *queue.Run) error {
					j.note(r)
					if string(r.Event.Data) == "0" {
						return tt.result(j.begun)
					}
					return nil
				})
				push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
				time.Sleep(time.Minute)
				push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1", Debounce: 2 * time.Minute})
				waitIdle(t, q)
				lines := j.all()
				want := entry{At: tt.want, Rule: "r", Entity: "deal:1", Count: 2, Attempt: 1, Data: "1"}
				if diff := cmp.Diff(want, lines[len(lines)-1]); diff != "" {
					t.Errorf("last attempt (-want +got):\n%s", diff)
				}
			})
		})
	}
}
