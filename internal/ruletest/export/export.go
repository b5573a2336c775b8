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

// Run is a run in the history that can be exported as a test.
type Run struct {
	// Actions are the actions that rules may use.
	Actions []*engine.Action
	// Name is the name of the test, Comment the text above it.
	Name, Comment string
	// RuleFile is the path of the current rule file, Rules its path in the test.
	RuleFile, Rules string
	// Record is the history of one attempt. A brief record has no reads.
	Record *history.Record
	// Entity is the run's entity. Code, Data and Time are those of the event from the portal.
	Entity engine.Entity
	Code   string
	Data   map[string]any
	Time   time.Time
	// Parked is the error with which the attempt was parked, "" if it was not.
	Parked string
	// KeepNames turns masking off. Otherwise names and texts are masked, equal texts by
	// equal masks. Numbers are never masked.
	KeepNames bool
}

// ErrNoReads is the error for a run whose history has no reads.
var ErrNoReads = errors.New("its history has no reads because the run wrote nothing")

// FromRun writes a run as a test file. The data that the run read is the given data, and
// its writes are the expected calls. The warnings report what a test cannot express, and
// whether the test fails with the current rule.
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
		rec.warn("the test does not pass with the current rule: the rule has changed since, or the record is not complete")
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

// exporter tries the test of a run and improves it.
type exporter struct {
	rec  *recording
	text *testText
}

// runChecks runs the test as b24rules test does. The test skips the built-in checks that
// fail, with the reason.
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
		x.text.skip[f.Check] = "failed when the run was exported"
		if len(x.rec.refuse) > 0 {
			x.text.skip[f.Check] = "the portal refuses a call of the run"
			continue
		}
		x.rec.warn("the built-in check %s fails and is skipped: %s", f.Check, f.Message)
	}
	return nil
}

// playAgain plays the run on a portal with the data that it read.
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

// trialResult is the result of a trial.
type trialResult struct {
	trial *ruletest.Trial
	// recorded are the writing calls of the record, in the form of tests.
	recorded []testfile.Call
	// made are the writing calls of the current rule.
	made []bitrix.Call
	// passes is true if both are equal and the run ended in the same way.
	passes bool
}

// trial writes the test to a temporary folder and reads it.
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
		return nil, fmt.Errorf("the run cannot be written as a test: %s", strings.ReplaceAll(list.Err().Error(), dir+string(filepath.Separator), ""))
	}
	return t, nil
}
