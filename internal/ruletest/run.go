package ruletest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// Options are the options of Run.
type Options struct {
	// Actions are the actions that rules may use.
	Actions []*engine.Action
	// Match selects tests by name. Nil runs all.
	Match *regexp.Regexp
	// Workers is the number of tests that run at the same time. 0 means one per processor.
	Workers int
}

// Status is the result of a built-in check.
type Status string

// The statuses.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped" // the test skips the check
	NotFit  Status = "n/a"     // the check does not apply to the test
)

// Result is the result of one test.
type Result struct {
	diag.Pos
	Name     string
	Failures []Failure
	Checks   []CheckResult
	Took     time.Duration
}

// Passed reports whether nothing failed.
func (r *Result) Passed() bool { return len(r.Failures) == 0 }

// CheckResult is the result of one built-in check.
type CheckResult struct {
	Name   string
	Status Status
	Reason string // why the test skips the check
}

// Report holds the results of all tests.
type Report struct {
	// Findings are the findings in test files and rule files. The tests of a file with an
	// error do not run.
	Findings diag.List
	// Results are in the order of the files and tests.
	Results []*Result
	// Coverage is the coverage of the rules under test.
	Coverage *Coverage
	// Files is the number of test files.
	Files int

	sources testfile.Sources
}

// Source returns the text of a file with findings.
func (r *Report) Source(file string) []byte { return r.sources[file] }

// Failed reports whether a test failed or a file has an error.
func (r *Report) Failed() bool {
	return r.Findings.HasErrors() || slices.ContainsFunc(r.Results, func(x *Result) bool { return !x.Passed() })
}

// Checks counts the built-in checks by status.
func (r *Report) Checks() map[Status]int {
	out := map[Status]int{}
	for _, x := range r.Results {
		for _, p := range x.Checks {
			out[p.Status]++
		}
	}
	return out
}

// Run runs the tests of files. untested are rule files that count for the coverage even
// without a test.
func Run(ctx context.Context, files, untested []string, o Options) (*Report, error) {
	r := &Report{Coverage: newCoverage(), Files: len(files), sources: testfile.Sources{}}
	type job struct {
		fixture *fixture
		result  *Result
		cover   *Coverage
		err     error
	}
	var jobs []*job
	for _, path := range files {
		f, list, err := testfile.Load(path, o.Actions, r.sources)
		if err != nil {
			return nil, err
		}
		r.Findings.Add(list...)
		if f == nil {
			continue
		}
		for _, t := range f.Content.Tests {
			s := newFixture(f, t)
			r.Coverage.declare(s)
			if o.Match == nil || o.Match.MatchString(t.Name.Text) {
				jobs = append(jobs, &job{fixture: s, cover: newCoverage()})
			}
		}
	}
	if err := r.Coverage.declareUntested(untested, o.Actions, r.sources); err != nil {
		return nil, err
	}
	r.Findings.Sort()
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	turns := make(chan struct{}, workers)
	var wg sync.WaitGroup
	for _, j := range jobs {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			j.result, j.err = j.fixture.runTest(ctx, j.cover)
		})
	}
	wg.Wait()
	for _, j := range jobs {
		if j.err != nil {
			return nil, j.err
		}
		r.Results = append(r.Results, j.result)
		r.Coverage.merge(j.cover)
	}
	return r, ctx.Err()
}

// newFixture binds the inputs of a test, which were checked with the file.
func newFixture(f *testfile.File, t *testfile.Test) *fixture {
	s := &fixture{file: f, test: t, schema: f.Schema}
	merged := testfile.MergeInputs(f.Content.Inputs, t.Inputs)
	for _, set := range f.Sets {
		values, _ := testfile.InputsFor(set, merged)
		s.sets = append(s.sets, boundSet{set, values})
	}
	return s
}

// runTest runs one test: its expectations, and if they hold, the built-in checks.
func (s *fixture) runTest(ctx context.Context, cover *Coverage) (*Result, error) {
	started := time.Now()
	r := &Result{Pos: s.test.Name.Pos, Name: s.test.Name.Text}
	defer func() { r.Took = time.Since(started) }()
	w, scenes, err := s.runScenarios(ctx, variation{})
	if err != nil {
		return r, s.dataFailure(r, "", err)
	}
	defer w.Close()
	c := &baseline{fixture: s, results: scenes, sandbox: w}
	for _, p := range scenes {
		r.Failures = append(r.Failures, s.verify(p)...)
		c.writes += len(p.writes)
		cover.see(p)
	}
	if !r.Passed() {
		return r, nil
	}
	for _, p := range testfile.BuiltinChecks {
		if skip, ok := testportal.Fields(s.test.SkipProofs).Get(p.Name); ok {
			r.Checks = append(r.Checks, CheckResult{p.Name, Skipped, compare.Text(skip.Value)})
			continue
		}
		if err := s.runCheck(ctx, r, c, p); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (s *fixture) runCheck(ctx context.Context, r *Result, c *baseline, p testfile.BuiltinCheck) error {
	wrong, applies, err := checkFuncs[p.Name](ctx, c)
	if err != nil {
		r.Checks = append(r.Checks, CheckResult{Name: p.Name, Status: Failed})
		return s.dataFailure(r, p.Name, err)
	}
	status := Passed
	switch {
	case len(wrong) > 0:
		status = Failed
	case !applies:
		status = NotFit
	}
	r.Checks = append(r.Checks, CheckResult{Name: p.Name, Status: status})
	for _, d := range wrong {
		r.Failures = append(r.Failures, Failure{Pos: s.test.Name.Pos, Check: p.Name, Message: d.message, Diff: d.diff})
	}
	return nil
}

// dataFailure turns a refusal of the test's data by the portal into a failure of the test.
// It returns other errors.
func (s *fixture) dataFailure(r *Result, check string, err error) error {
	var refused *diag.Finding
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: test %q: %w", s.test.Name.Pos, s.test.Name.Text, err)
	}
	r.Failures = append(r.Failures, Failure{Pos: refused.Pos, Check: check, Message: refused.Text()})
	return nil
}

// ruleKey identifies a rule of a file.
type ruleKey struct{ file, rule string }

func keyOf(r *engine.Rule) ruleKey { return ruleKey{r.Set.File, r.ID} }
