package ruletest

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// Trial is the first test of a file, played outside of Run. Package export tries a test
// before it writes it.
type Trial struct{ fixture *fixture }

// ReadTrial reads a test file. The trial is nil if a finding is an error.
func ReadTrial(path string, actions []*engine.Action) (*Trial, diag.List, error) {
	f, list, err := testfile.Load(path, actions, testfile.Sources{})
	if err != nil || list.HasErrors() {
		return nil, list, err
	}
	return &Trial{newFixture(f, f.Content.Tests[0])}, list, nil
}

// Play plays the scenarios of the test. It returns the writing calls of the first one,
// and whether its expectations hold. Calls are compared with expected instead of those of
// the test; nil compares no calls.
func (t *Trial) Play(ctx context.Context, expected []testfile.Call) (made []bitrix.Call, passes bool, err error) {
	world, scenes, err := t.fixture.runScenarios(ctx, variation{})
	if err != nil {
		return nil, false, fmt.Errorf("play the run: %w", err)
	}
	defer world.Close()
	p := scenes[0]
	p.phase.Scenario.Calls = nil
	passes = len(t.fixture.verify(p)) == 0 && (expected == nil || t.fixture.callsDiff(&testfile.Calls{List: expected}, p.writes) == "")
	return p.writes, passes, nil
}

// Test runs the test with the built-in checks.
func (t *Trial) Test(ctx context.Context) (*Result, error) {
	return t.fixture.runTest(ctx, newCoverage())
}

// Expected returns a writing call in the form of a test, without parameters that differ
// between portals.
func (t *Trial) Expected(c bitrix.Call) testfile.Call {
	params := t.fixture.readable(c)
	for _, name := range []string{"ELEMENT_CODE", "IBLOCK_TYPE_ID"} {
		delete(params, name)
	}
	return testfile.Call{Method: c.Method, Params: params}
}
