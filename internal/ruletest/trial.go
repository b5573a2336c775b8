package ruletest

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// Trial is the first test of a file, to be played outside of Run: an exported
// run is tried before it is written.
type Trial struct{ fixture *fixture }

// ReadTrial reads a test file. With an error among the findings there is no trial.
func ReadTrial(path string, actions []*engine.Action) (*Trial, diag.List, error) {
	f, list, err := testfile.LoadFile(path, actions, testfile.Sources{})
	if err != nil || list.HasErrors() {
		return nil, list, err
	}
	return &Trial{newFixture(f, f.Content.Tests[0])}, list, nil
}

// Play plays the first event of the test. It returns the writing calls that the
// runs made, and whether what the test expects holds. Calls are compared with the
// given ones instead of those of the test; nil compares none.
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

// Test runs the test with its proofs.
func (t *Trial) Test(ctx context.Context) (*Result, error) {
	return t.fixture.runTest(ctx, newCoverage())
}

// Expected is a writing call as a test expects it: without what differs from
// portal to portal.
func (t *Trial) Expected(c bitrix.Call) testfile.Call {
	params := t.fixture.readable(c)
	for _, name := range []string{"ELEMENT_CODE", "IBLOCK_TYPE_ID"} {
		delete(params, name)
	}
	return testfile.Call{Method: c.Method, Params: params}
}
