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
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/queue"
)

// ruleStore is a store in memory with the waiting and the parked runs of one rule.
type ruleStore struct {
	mu      sync.Mutex
	hold    *queue.Hold
	waiting []int64
	parked  map[int64]bool
	fails   error
}

func (s *ruleStore) SetHold(_ context.Context, h queue.Hold) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails == nil {
		s.hold = &h
	}
	return s.fails
}

func (s *ruleStore) EndHold(context.Context, string, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = nil
	return nil
}

func (s *ruleStore) HoldList(context.Context) ([]queue.Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold == nil {
		return nil, nil
	}
	return []queue.Hold{*s.hold}, nil
}

func (s *ruleStore) LetThrough(_ context.Context, _, _ string, probe time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return 0, nil
	}
	s.hold.Pass, s.hold.Probe = s.waiting[0], probe
	s.waiting = s.waiting[1:]
	return s.hold.Pass, nil
}

func (s *ruleStore) Replay(_ context.Context, run int64, _ string, _ ...queue.Also) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.parked[run] {
		return queue.ErrState
	}
	delete(s.parked, run)
	s.waiting = append(s.waiting, run)
	return nil
}

// do calls f while nothing else reads or changes the store.
func (s *ruleStore) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// held returns the hold, nil without one.
func (s *ruleStore) held() (h *queue.Hold) {
	s.do(func() {
		if s.hold != nil {
			one := *s.hold
			h = &one
		}
	})
	return h
}

// ruleWorld is a portal that is fine, and one rule of it with the steps "read" and
// "write".
type ruleWorld struct {
	t       *testing.T
	store   *ruleStore
	rules   *hold.Rules
	version string
	scopes  string
	causes  []string
	passed  []string // "time run" of the runs that were let through
	next    int64
	started time.Time
}

func newRuleWorld(t *testing.T) *ruleWorld {
	w := &ruleWorld{t: t, store: &ruleStore{parked: map[int64]bool{}}, version: "1", scopes: `["crm"]`, started: time.Now()}
	w.rules = w.keep()
	return w
}

// keep makes the rules of a process, which works until the test ends.
func (w *ruleWorld) keep() *hold.Rules {
	log := slog.New(slog.DiscardHandler)
	p := hold.NewPortal(hold.Options{
		Name: "main", Store: w.store, Log: log, Mine: func() error { return nil },
		Probe: func(context.Context) error { return nil },
	})
	r := hold.NewRules(hold.RuleOptions{
		Portal: p, Store: w.store,
		Version: func(string) (v string) { w.store.do(func() { v = w.version }); return v },
		Scopes:  func(context.Context) (v string, err error) { w.store.do(func() { v = w.scopes }); return v, nil },
		Changed: func(h queue.Hold) { w.store.do(func() { w.causes = append(w.causes, h.Cause) }) },
	})
	ctx, stop := context.WithCancel(w.t.Context())
	w.t.Cleanup(stop)
	go hold.Keep(ctx, w.store, func() ([]*hold.Portal, []*hold.Rules) { return []*hold.Portal{p}, []*hold.Rules{r} }, log)
	return r
}

// attempt ends a run of an entity at the step "write": with an answer, or well.
func (w *ruleWorld) attempt(entity string, run int64, err error) (stopped bool) {
	a := hold.Attempt{Rule: "r", Entity: entity, Run: run, Err: err, Passed: func(step string) bool { return err == nil || step == "read" }}
	if err != nil {
		a.Step = "write"
	}
	return w.rules.Judge(w.t.Context(), a)
}

// refuse ends runs of new entities with an answer, and parks those that keep their own
// verdict. It returns how many wait instead.
func (w *ruleWorld) refuse(n int, err error) (waiting int) {
	for range n {
		w.next++
		if w.attempt(fmt.Sprint("deal:", w.next), w.next, err) {
			waiting++
			w.store.do(func() { w.store.waiting = append(w.store.waiting, w.next) })
			continue
		}
		w.store.do(func() { w.store.parked[w.next] = true })
	}
	return waiting
}

// wait ends each run that is let through in a time with an answer.
func (w *ruleWorld) wait(d time.Duration, answer func() error) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		synctest.Wait()
		if h := w.store.held(); h != nil && h.Pass != 0 {
			run := h.Pass
			w.passed = append(w.passed, time.Since(w.started).Round(10*time.Second).String())
			if w.attempt(fmt.Sprint("deal:", run), run, answer()) {
				w.store.do(func() { w.store.waiting = append(w.store.waiting, run) })
			}
		}
	}
}

var (
	denied  = &bitrix.Error{Method: "lists.element.add", Code: "ACCESS_DENIED", Outcome: bitrix.Executed}
	scope   = &bitrix.Error{Method: "lists.element.add", Code: "insufficient_scope", Status: 403, Outcome: bitrix.NotExecuted}
	page500 = &bitrix.Error{Method: "lists.element.add", Code: bitrix.CodeBadAnswer, Status: 502, Outcome: bitrix.Unknown}
	lost    = &bitrix.Error{Method: "lists.element.add", Code: bitrix.CodeNetwork, Outcome: bitrix.Unknown}
)

// TestWall holds what stops a rule, and that a wall ends as soon as a run passes it.
func TestWall(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []error // of one entity after another; nil is a success
		stopped bool
	}{
		{"five entities", []error{denied, denied, denied, denied, denied}, true},
		{"four entities", []error{denied, denied, denied, denied}, false},
		{"a success between", []error{denied, denied, denied, nil, denied, denied, denied, denied}, false},
		{"a scope at once", []error{scope}, true},
		{"a deleted field", slices.Repeat([]error{&engine.ParkedError{Kind: engine.ParkedByMissing, Err: errors.New("no field")}}, 5), true},
		{"pages", []error{page500, page500, page500, page500, page500}, true},
		{"no answers", []error{lost, lost, lost, lost, lost}, true},
		{"different answers", []error{denied, page500, denied, page500, denied, lost, lost}, false},
		{"data of the entities", []error{errors.New("formula"), errors.New("formula"), errors.New("formula"), errors.New("formula"), errors.New("formula"), errors.New("formula")}, false},
		{"wrong values", slices.Repeat([]error{&bitrix.Error{Code: "ERROR_ARGUMENT", Status: 400, Outcome: bitrix.Executed}}, 9), false},
		{"not sent", slices.Repeat([]error{&bitrix.Error{Detail: "not sent: this process does not hold the lease of the portal", Outcome: bitrix.NotExecuted}}, 9), false},
		{"the rate limit", slices.Repeat([]error{&bitrix.Error{Code: bitrix.CodeOperationLimit, NotBefore: time.Now().Add(time.Hour)}}, 9), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newRuleWorld(t)
				for _, err := range tt.answers {
					w.refuse(1, err)
				}
				if got := w.store.held() != nil; got != tt.stopped {
					t.Fatalf("stopped: %t, want %t", got, tt.stopped)
				}
				if !tt.stopped {
					return
				}
				if h := w.store.held(); h.Cause != hold.Stopped || h.Rule != "r" || h.Reason == "" {
					t.Errorf("the hold is %+v", h)
				}
				if n := w.refuse(3, tt.answers[0]); n != 3 {
					t.Errorf("%d of 3 later runs wait", n)
				}
				synctest.Wait() // the scopes are read
				w.store.do(func() { w.scopes = `["crm","lists"]` })
				w.wait(10*time.Minute, func() error { return nil })
				if w.store.held() != nil || len(w.store.parked) > 0 {
					t.Errorf("hold %v, parked %v; want none", w.store.held(), w.store.parked)
				}
				if diff := cmp.Diff([]string{"stopped", ""}, w.causes); diff != "" {
					t.Errorf("changes (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// TestWallIsTried holds when runs are let through, and that a restart, a new version of
// the rule and a person let one through at once.
func TestWallIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRuleWorld(t)
		w.refuse(8, denied)
		still := func() error { return denied }
		w.wait(14*time.Minute, still)
		w.store.do(func() { w.version = "2" })
		w.wait(time.Minute, still)
		w.store.do(func() { w.store.hold.Probe = time.Time{} }) // resume
		w.wait(time.Minute, still)
		w.rules = w.keep()
		w.wait(time.Minute, still)
		if want := []string{"1m0s", "3m0s", "8m0s", "13m0s", "14m0s", "15m0s", "16m0s"}; !slices.Equal(w.passed, want) {
			t.Errorf("let through at %v, want %v", w.passed, want)
		}
	})
}

// TestMissingScope holds that no run is let through before the scopes have changed.
func TestMissingScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRuleWorld(t)
		w.refuse(3, scope)
		w.wait(45*time.Minute, func() error { return scope })
		if len(w.passed) != 0 {
			t.Errorf("let through at %v", w.passed)
		}
		w.store.do(func() { w.scopes = `["crm","lists"]` })
		w.wait(6*time.Minute, func() error { return nil })
		if w.store.held() != nil || len(w.passed) != 1 {
			t.Errorf("hold %v, let through at %v", w.store.held(), w.passed)
		}
	})
}

// TestOwnAnswers holds that entities that met a wall that others pass keep their own
// verdict, and that the next wall needs more of them.
func TestOwnAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRuleWorld(t)
		w.refuse(5, denied)
		w.wait(5*time.Second, nil)
		w.store.do(func() { w.store.waiting = []int64{6} }) // one that may do it
		w.wait(2*time.Minute, func() error { return nil })
		if w.store.held() != nil {
			t.Fatal("a success does not end it")
		}
		for run := range int64(5) {
			if w.attempt(fmt.Sprint("deal:", run+1), run+1, denied) {
				t.Errorf("run %d waits, though another entity has passed", run+1)
			}
		}
		if n := w.refuse(9, denied); n != 0 {
			t.Errorf("%d of nine wait", n)
		}
	})
}

// TestRunsThatMissTheStep holds that a run that does not come to the step says nothing,
// and that the next one goes at once.
func TestRunsThatMissTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRuleWorld(t)
		w.refuse(5, denied)
		w.wait(5*time.Second, nil)
		w.store.do(func() { w.store.hold.Probe = time.Time{} })
		time.Sleep(3 * time.Second)
		for range 3 {
			run := w.store.held().Pass
			if run == 0 {
				t.Fatal("no run is let through")
			}
			skips := hold.Attempt{Rule: "r", Entity: fmt.Sprint("deal:", run), Run: run, Passed: func(step string) bool { return step == "read" }}
			if w.rules.Judge(t.Context(), skips) {
				t.Error("a run that has succeeded waits")
			}
		}
		if w.store.held() == nil {
			t.Error("a run that has skipped the step ends the hold")
		}
	})
}

// TestHandledFailures holds that a failure that on_error of the step handles stops no
// rule, and that a rule that cannot be held keeps its runs' verdicts.
func TestHandledFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRuleWorld(t)
		for n := range int64(9) {
			a := hold.Attempt{Rule: "r", Entity: fmt.Sprint("deal:", n), Run: n, Step: "write", Err: denied, Handled: true, Passed: func(string) bool { return false }}
			if w.rules.Judge(t.Context(), a) {
				t.Error("a handled failure stops the rule")
			}
		}
		w.store.do(func() { w.store.fails = errors.New("disk full") })
		if n := w.refuse(9, denied); n != 0 {
			t.Errorf("%d runs wait for a hold that is not stored", n)
		}
	})
}
