package run_test

import (
	"context"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestShadowRemembers: a run in shadow mode remembers, starts and plans like a real one, so
// after the change to live mode nothing is sent again and no time is lost. plan, which is
// the other dry run, changes nothing.
func TestShadowRemembers(t *testing.T) {
	set := startRules(t, startingRules+"  remind:\n    on: ONCRMDEALUPDATE\n"+reminder+"      - entered: =event.data.stage == \"WON\"\n        save: {entityTypeId: 9, fields: {it: won}}\n")
	now := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	for _, shadow := range []bool{true, false} {
		m := &run.LocalMemory{}
		r := enginetest.DealRun()
		r.DryRun, r.Shadow, r.Rule, r.Memory, r.Now = &dryrun.Run{}, shadow, finder(set), m, now
		r.Guard = &run.LoopGuard{}
		r.Event.Data = map[string]any{"ids": []any{"1"}, "stage": "WON", "end": "2026-05-02T09:00:00Z"}
		if _, err := r.Do(context.Background(), set.Rules[0]); err != nil {
			t.Fatal(err)
		}
		if starts, _ := m.Succeed(); (startsText(starts) == "parent company:1") != shadow {
			t.Errorf("shadow %v: starts %s", shadow, startsText(starts))
		}
		m = &run.LocalMemory{}
		r.Memory = m
		remind := finder(set)("remind")
		if _, err := r.Do(context.Background(), remind); err != nil {
			t.Fatal(err)
		}
		values := len(m.Values)
		if _, at := m.Succeed(); at.Equal(now.Add(time.Hour)) != shadow || (len(m.Values) > values) != shadow {
			t.Errorf("shadow %v: the next run is at %v, remembered %v", shadow, at, m.Values)
		}
	}
}

// TestALookTakesNothingFromALiveRun: what a live run has remembered stays, so that the
// change after it is still seen.
func TestALookTakesNothingFromALiveRun(t *testing.T) {
	d := newDiary(t, won)
	d.expect("NEW: ")
	d.change = func(r *run.Run) { r.DryRun, r.Look = &dryrun.Run{}, true }
	d.expect("WON: ")
	d.change = nil
	d.expect("WON: won", "WON: ")

	d = newDiary(t, "    steps:\n      - compute: {stage: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: '=before.stage ?? \"-\"'}}\n")
	d.expect("NEW: -")
	d.change = func(r *run.Run) { r.DryRun, r.Look = &dryrun.Run{}, true }
	d.expect("WON: NEW") // saves, because it is not the portal that refuses
	d.change = nil
	d.expect("WON: NEW")
}
