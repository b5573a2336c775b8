package export

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
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Recorded is a run of which a test can be made.
type Run struct {
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
func FromRun(ctx context.Context, r Run) (text []byte, warnings []string, err error) {
	if r.Record.Brief {
		return nil, nil, ErrNoReads
	}
	ruleText, err := yamlfile.ReadFile(r.RuleFile)
	if err != nil {
		return nil, nil, err
	}
	rec := newRecording(r, string(ruleText))
	rec.read()
	x := &exporter{rec: rec, text: &testText{rec: rec}}
	a, err := x.playAgain(ctx)
	if err != nil {
		return nil, nil, err
	}
	x.text.calls = a.recorded
	if !a.passes {
		rec.warn("the test does not pass with the rule as it is now: the rule has changed since, or what it read is not all kept")
	}
	if !r.KeepNames {
		if err := x.mask(ctx, a.passes); err != nil {
			return nil, nil, err
		}
	}
	if err := x.runChecks(ctx); err != nil {
		return nil, nil, err
	}
	return x.text.yaml(r.Rules), rec.warnings, nil
}

// exporter makes the test of a run.
type exporter struct {
	rec  *recording
	text *testText
}

// prove runs the test as b24rules test would. Proofs that do not hold are left
// out of it, with the reason.
func (x *exporter) runChecks(ctx context.Context) error {
	t, err := x.trial()
	if err != nil {
		return err
	}
	r, err := t.Test(ctx)
	if err != nil {
		return err
	}
	for _, f := range r.Failures {
		if f.Check == "" {
			x.rec.warn("the test fails: %s", f.Message)
			continue
		}
		if x.text.skip == nil {
			x.text.skip = map[string]string{}
		}
		x.text.skip[f.Check] = "did not hold when the run was exported"
		if len(x.rec.refuse) > 0 {
			x.text.skip[f.Check] = "the portal refuses what the run does"
			continue
		}
		x.rec.warn("the proof %s does not hold and is skipped: %s", f.Check, f.Message)
	}
	return nil
}

// try plays the run in the world that it has read.
func (x *exporter) playAgain(ctx context.Context) (trialResult, error) {
	t, err := x.trial()
	if err != nil {
		return trialResult{}, err
	}
	a := trialResult{trial: t}
	for _, c := range x.rec.writes {
		a.recorded = append(a.recorded, t.Expected(c))
	}
	expected := a.recorded
	if x.rec.incomplete {
		expected = nil
	} else if expected == nil {
		expected = []testfile.Call{}
	}
	a.made, a.passes, err = t.Play(ctx, expected)
	return a, err
}

// attempt is what came of a trial.
type trialResult struct {
	trial *ruletest.Trial
	// recorded are the calls that the record tells of, as tests write them.
	recorded []testfile.Call
	// made are the writing calls that the rule made now.
	made []bitrix.Call
	// passes says that these are the same, and that the run ended as it did.
	passes bool
}

// trial reads the test that was made of the run, from a folder of its own.
func (x *exporter) trial() (*ruletest.Trial, error) {
	dir, err := os.MkdirTemp("", "b24rules")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rules, err := filepath.Abs(x.rec.run.RuleFile)
	if err == nil {
		rules, err = filepath.Rel(dir, rules)
	}
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "export_test.yaml")
	if err := os.WriteFile(file, x.text.yaml(filepath.ToSlash(rules)), 0o600); err != nil {
		return nil, err
	}
	t, list, err := ruletest.ReadTrial(file, x.rec.run.Actions)
	if err != nil {
		return nil, err
	}
	if list.HasErrors() {
		return nil, fmt.Errorf("the run cannot be told as a test: %s", strings.ReplaceAll(list.Err().Error(), dir+string(filepath.Separator), ""))
	}
	return t, nil
}
