package run_test

import (
	"testing"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/run"
)

// TestALookTakesNothingFromALiveRun: what a live run has remembered stays, so that the
// change after it is still seen.
func TestALookTakesNothingFromALiveRun(t *testing.T) {
	d := newDiary(t, won)
	d.expect("NEW: ")
	d.change = func(r *run.Run) { r.DryRun, r.Look = &dryrun.Run{}, true }
	d.expect("WON: ")
	d.change = nil
	d.expect("WON: won", "WON: ")
}
