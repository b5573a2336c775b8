package hold_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/queue"
)

// memory is a store in memory.
type memory struct {
	mu    sync.Mutex
	holds map[string]queue.Hold
	fails error
}

func (m *memory) SetHold(_ context.Context, h queue.Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		return m.fails
	}
	m.holds[h.Portal] = h
	return nil
}

func (m *memory) EndHold(_ context.Context, portal, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.holds, portal)
	return m.fails
}

func (m *memory) HoldList(context.Context) ([]queue.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []queue.Hold
	for _, h := range m.holds {
		all = append(all, h)
	}
	return all, m.fails
}

// world is one portal, its state and what happened to it.
type world struct {
	store   *memory
	started time.Time
	portal  *hold.Portal

	mu      sync.Mutex
	answer  error // of a probe
	lost    error // another process has the portal
	probes  []time.Duration
	changes []string
}

// set makes the portal answer probes with an error, nil for none, while this
// process has lost it or not.
func (w *world) set(answer, lost error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.lost = answer, lost
}

// asked returns when the portal was probed.
func (w *world) asked() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.probes)
}

// seen returns the causes that were reported, repetitions once.
func (w *world) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Compact(slices.Clone(w.changes))
}

// stored returns the portal's hold; one without a cause says that there is none.
func (w *world) stored() queue.Hold {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.holds["main"]
}

func newWorld() *world {
	w := &world{store: &memory{holds: map[string]queue.Hold{}}, started: time.Now()}
	w.portal = w.newPortal()
	return w
}

func (w *world) newPortal() *hold.Portal {
	return hold.NewPortal(hold.Options{
		Name: "main", Store: w.store, Log: slog.New(slog.DiscardHandler),
		Probe: func(context.Context) error {
			time.Sleep(time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.probes = append(w.probes, time.Since(w.started))
			return w.answer
		},
		Mine: func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.lost
		},
		Changed: func(h queue.Hold) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, h.Cause)
		},
	})
}

// keep runs the prober until the test ends.
func (w *world) keep(t *testing.T, p *hold.Portal) {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go hold.Keep(ctx, w.store, func() ([]*hold.Portal, []*hold.Rules) { return []*hold.Portal{p}, nil }, slog.New(slog.DiscardHandler))
}

var (
	down    = &bitrix.Error{Method: "server.time", Code: bitrix.CodeNetwork, Outcome: bitrix.Unknown}
	revoked = &bitrix.Error{Method: "server.time", Code: "INVALID_CREDENTIALS", Status: 401, Outcome: bitrix.NotExecuted}
	blocked = &bitrix.Error{Method: "server.time", Code: bitrix.CodeOverload, Status: 429, Outcome: bitrix.NotExecuted}
)

// TestJudge holds that one probe decides for all runs that fail at the same time.
func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		run    error // what the runs met
		answer error // of the probe
		held   bool
		probes int
		cause  string
	}{
		{"the portal is down", down, down, true, 1, hold.Unreachable},
		{"another answer than the run's", down, revoked, true, 1, hold.Unauthorised},
		{"blocked", blocked, blocked, true, 1, hold.Blocked},
		{"the run's own fault", down, nil, false, 1, ""},
		{"the portal refuses the probe alone", revoked, &bitrix.Error{Code: "INSUFFICIENT_SCOPE", Status: 403}, false, 1, ""},
		{"the rate limit", down, &bitrix.Error{Code: bitrix.CodeQueryLimit, Status: 503}, false, 1, ""},
		{"no sign of the portal", &bitrix.Error{Code: "ACCESS_DENIED", Status: 400, Outcome: bitrix.Executed}, down, false, 0, ""},
		{"no call at all", errors.New("a formula"), down, false, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.set(tt.answer, nil)
				var wg sync.WaitGroup
				held := make([]bool, 20)
				for i := range held {
					wg.Go(func() { held[i] = w.portal.Judge(t.Context(), fmt.Errorf("step rows: %w", tt.run)) })
				}
				wg.Wait()
				if slices.Contains(held, !tt.held) || len(w.asked()) != tt.probes {
					t.Errorf("held %v after %d probes, want %v after %d", held, len(w.asked()), tt.held, tt.probes)
				}
				if got := w.stored().Cause; got != tt.cause {
					t.Errorf("stored cause %q, want %q", got, tt.cause)
				}
			})
		})
	}
}

// TestJudgeAfterAGoodAnswer holds that a good answer does not decide about a later error: the
// portal may have failed in between. It is asked again, once for all, when its time has come.
func TestJudgeAfterAGoodAnswer(t *testing.T) {
	for _, answer := range []error{nil, down} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.set(nil, nil)
			if w.portal.Judge(t.Context(), down) {
				t.Error("held, but the portal answers")
			}
			time.Sleep(time.Second)
			w.set(answer, nil)
			start := time.Now()
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if held := w.portal.Judge(t.Context(), down); held != (answer != nil) {
						t.Errorf("held %v, the portal answers with %v", held, answer)
					}
				})
			}
			wg.Wait()
			if n := len(w.asked()); n != 2 || time.Since(start) > 5*time.Second { // a probe takes a second
				t.Errorf("%d probes, %s", n, time.Since(start))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if answer == nil && !w.portal.Judge(ctx, down) {
				t.Error("a run that is stopped before the next probe does not wait")
			}
		})
	}
}

// TestProbes holds when a held portal is asked, and that it ends automatically.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(down, nil)
		w.keep(t, w.portal)
		if !w.portal.Judge(t.Context(), down) {
			t.Fatal("not held")
		}
		time.Sleep(10 * time.Minute)
		n := len(w.asked())
		if n < 11 || n > 15 {
			t.Errorf("%d probes in ten minutes: %v", n, w.asked())
		}
		w.set(revoked, nil) // the network is back, the webhook is not
		time.Sleep(2 * time.Minute)
		w.set(nil, nil)
		time.Sleep(16 * time.Minute)
		if w.stored().Cause != "" || w.portal.Held() {
			t.Errorf("still held: %v", w.stored())
		}
		want := []string{"unreachable", "unauthorised", ""}
		if diff := cmp.Diff(want, w.seen()); diff != "" {
			t.Errorf("changes (-want +got)\n%s", diff)
		}
	})
}

// TestRestart holds that a new process continues the hold of the one before, and
// that a process without the portal's lease sends no probe.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(down, nil)
		if !w.portal.Judge(t.Context(), down) {
			t.Fatal("not held")
		}
		since := w.stored().Since
		next := w.newPortal()
		w.set(down, errors.New("another process has it"))
		w.keep(t, next)
		time.Sleep(5 * time.Minute)
		if len(w.asked()) != 1 {
			t.Errorf("probes without the lease: %v", w.asked())
		}
		w.set(down, nil)
		time.Sleep(2 * time.Minute)
		if len(w.asked()) < 2 || !w.stored().Since.Equal(since) {
			t.Errorf("probes %v, hold %v", w.asked(), w.stored())
		}
		w.set(nil, nil)
		time.Sleep(2 * time.Minute)
		if w.stored().Cause != "" {
			t.Errorf("still held: %v", w.stored())
		}
	})
}

// TestResumed holds that a hold that a person ends or brings forward is asked about
// at once.
func TestResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(revoked, nil)
		w.keep(t, w.portal)
		w.portal.Judge(t.Context(), revoked)
		time.Sleep(30 * time.Minute) // pauses are long now
		w.set(nil, nil)
		h := w.stored()
		h.Probe = time.Time{}
		if err := w.store.SetHold(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if w.stored().Cause != "" {
			t.Errorf("still held: %v", w.stored())
		}
	})
}

// TestNoStore holds that a run whose portal cannot be held keeps its own verdict.
func TestNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.store.fails = errors.New("disk full")
		w.set(down, nil)
		if w.portal.Judge(t.Context(), down) {
			t.Error("held without a stored hold: the queue would start the run again at once")
		}
	})
}

// TestInterruptedJudge holds that a run that is stopped before the probe is answered
// waits: its own verdict could park it.
func TestInterruptedJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, stop)
		if !w.portal.Judge(ctx, revoked) {
			t.Error("the run keeps its own verdict")
		}
		time.Sleep(time.Second)
		if w.stored().Cause != "" {
			t.Errorf("held, though the portal has answered the probe: %v", w.stored())
		}
	})
}

// TestLostPortal holds that a process that loses a held portal no longer reports its
// hold, and leaves it to the process that works the portal.
func TestLostPortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(revoked, nil)
		w.keep(t, w.portal)
		if !w.portal.Judge(t.Context(), revoked) {
			t.Fatal("not held")
		}
		w.set(revoked, errors.New("another process has it"))
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"unauthorised", ""}, w.seen()); diff != "" {
			t.Errorf("changes (-want +got)\n%s", diff)
		}
		if w.portal.Held() || w.stored().Cause != "unauthorised" {
			t.Errorf("held %t, stored %v", w.portal.Held(), w.stored())
		}
		if !w.portal.Judge(t.Context(), revoked) {
			t.Error("a run of a portal that was lost keeps its own verdict")
		}
	})
}
