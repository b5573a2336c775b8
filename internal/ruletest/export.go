package ruletest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Recorded is a run of which a test can be made.
type Recorded struct {
	// Actions are the actions that rules may use.
	Actions []*engine.Action
	// Name is the test's name, Comment what stands above it.
	Name, Comment string
	// RuleFile is the rule file as it is now, Rules how the test names it.
	RuleFile, Rules string
	// Record is the history of one attempt. A brief one holds no reads.
	Record *history.Record
	// Entity is what the run was about, Code and Data the event as the portal
	// sent it, Time when.
	Entity engine.Entity
	Code   string
	Data   map[string]any
	Time   time.Time
	// Parked is the error with which the attempt failed for good; "" when it
	// did not.
	Parked string
	// KeepNames leaves names and texts as they are. Otherwise they are masked,
	// each text always by the same mask, and numbers stay.
	KeepNames bool
}

// ErrNoReads is returned for a run whose history keeps no reads.
var ErrNoReads = errors.New("its history keeps no reads: the run wrote nothing")

// Export makes a test of a run: what it has read is the given portal, what it
// wrote are the expected calls. The warnings say what could not be told, and
// whether the test fails with the rule as it is now.
func Export(ctx context.Context, r Recorded) (text []byte, warnings []string, err error) {
	if r.Record.Brief {
		return nil, nil, ErrNoReads
	}
	ruleText, err := yamlfile.ReadFile(r.RuleFile)
	if err != nil {
		return nil, nil, err
	}
	w := newRecordedWorld(r, string(ruleText))
	w.read()
	calls, passes, err := w.try(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	w.calls = calls
	if !passes {
		w.warn("the test does not pass with the rule as it is now: the rule has changed since, or what it read is not all kept")
	}
	if !r.KeepNames {
		if err := w.mask(ctx, passes); err != nil {
			return nil, nil, err
		}
	}
	if err := w.prove(ctx); err != nil {
		return nil, nil, err
	}
	return w.yaml(r.Rules), w.warnings, nil
}

// prove runs the test as b24rules test would. Proofs that do not hold are left
// out of it, with the reason.
func (w *recordedWorld) prove(ctx context.Context) error {
	s, done, err := w.stage(w.yaml)
	if err != nil {
		return err
	}
	defer done()
	r, err := s.test1(ctx, newCoverage())
	if err != nil {
		return err
	}
	for _, f := range r.Failures {
		if f.Proof == "" {
			w.warn("the test fails: %s", f.Message)
			continue
		}
		if w.skip == nil {
			w.skip = map[string]string{}
		}
		w.skip[f.Proof] = "did not hold when the run was exported"
		if len(w.refuse) > 0 {
			w.skip[f.Proof] = "the portal refuses what the run does"
			continue
		}
		w.warn("the proof %s does not hold and is skipped: %s", f.Proof, f.Message)
	}
	return nil
}

// try plays the run in the world that it has read and returns the calls that
// the record tells of, as tests write them, and whether the play made the same.
// check, if not nil, gets what was played.
func (w *recordedWorld) try(ctx context.Context, check func(s *stage, p played)) (calls []wantedCall, passes bool, err error) {
	s, done, err := w.stage(w.yaml)
	if err != nil {
		return nil, false, err
	}
	defer done()
	for _, c := range w.writes {
		calls = append(calls, s.wanted(c))
	}
	world, scenes, err := s.play(ctx, variation{})
	if err != nil {
		return calls, false, fmt.Errorf("play the run: %w", err)
	}
	defer world.close()
	p := scenes[0]
	if check != nil {
		check(s, p)
	}
	sc := p.act.scene
	sc.Calls = nil
	passes = len(s.verify(p)) == 0 && (w.incomplete || s.callsDiff(&callsOf{list: calls}, p.writes) == "")
	return calls, passes, nil
}

type callsOf = calls

// stage reads the test that a text is, from a folder of its own.
func (w *recordedWorld) stage(text func(rules string) []byte) (s *stage, done func(), err error) {
	dir, err := os.MkdirTemp("", "b24rules")
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			done()
		}
	}()
	rules, err := filepath.Abs(w.run.RuleFile)
	if err == nil {
		rules, err = filepath.Rel(dir, rules)
	}
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "export_test.yaml")
	if err := os.WriteFile(file, text(filepath.ToSlash(rules)), 0o600); err != nil {
		return nil, nil, err
	}
	f, list, err := loadTest(file, w.run.Actions, sources{})
	if err != nil {
		return nil, nil, err
	}
	if list.HasErrors() {
		return nil, nil, fmt.Errorf("the run cannot be told as a test: %s", strings.ReplaceAll(list.Err().Error(), dir+string(filepath.Separator), ""))
	}
	return newStage(f, f.layout.Tests[0]), done, nil
}

// wanted is a writing call as a test expects it: without what differs from
// portal to portal.
func (s *stage) wanted(c bitrix.Call) wantedCall {
	params := s.readable(c)
	for _, name := range []string{"ELEMENT_CODE", "IBLOCK_TYPE_ID"} {
		delete(params, name)
	}
	return wantedCall{c.Method, params}
}
