package run_test

import (
	"context"
	"errors"
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

// TestStatesBehindAnEvent: a run that no event has started asks before it remembers a state that
// would hide the change of an event on its way: a condition that is true, values of before, and
// for a look a time that has passed. It does not ask for what a run has known before.
func TestStatesBehindAnEvent(t *testing.T) {
	const before = "    steps:\n      - compute: {stage: =event.data.stage}\n      - save: {entityTypeId: 9, fields: {it: '=before.stage ?? \"-\"'}}\n"
	now := time.Date(2026, 5, 2, 10, 0, 0, 0, time.UTC)
	until := now.Add(time.Minute)
	for _, tt := range []struct {
		name, steps string
		data        map[string]any
		look, asks  bool
		first       bool // a live run has been there
	}{
		{name: "a look at a condition that is true", steps: won, data: map[string]any{"stage": "WON"}, look: true, asks: true},
		{name: "a sync of a condition that is true", steps: won, data: map[string]any{"stage": "WON"}, asks: true},
		{name: "a condition that is false", steps: won, data: map[string]any{"stage": "NEW"}, look: true},
		{name: "a condition that a live run has seen", steps: won, data: map[string]any{"stage": "WON"}, look: true, first: true},
		{name: "before", steps: before, data: map[string]any{"stage": "NEW"}, asks: true},
		{name: "before that a live run has stored", steps: before, data: map[string]any{"stage": "NEW"}, first: true},
		{name: "a look at a time that has passed", steps: reminder, data: map[string]any{"end": "2026-05-02T09:00:00Z"}, look: true, asks: true},
		{name: "a look at a time to come", steps: reminder, data: map[string]any{"end": "2026-05-03T09:00:00Z"}, look: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDiary(t, tt.steps)
			if tt.first {
				if _, err := d.run(tt.data); err != nil {
					t.Fatal(err)
				}
			}
			asked := 0
			d.change = func(r *run.Run) {
				r.Now, r.Quiet, r.Look = now, true, tt.look
				if tt.look {
					r.DryRun = &dryrun.Run{}
				}
				r.Arrived = func(context.Context) error {
					asked++
					return &run.TooSoonError{Until: until}
				}
			}
			values := len(d.memory.Values)
			_, err := d.run(tt.data)
			var failed *run.RunError
			switch {
			case !tt.asks:
				if err != nil || asked != 0 {
					t.Errorf("asked %d times, %v", asked, err)
				}
			case !errors.As(err, &failed) || failed.Verdict != run.Later || !failed.NotBefore.Equal(until) || asked != 1:
				t.Errorf("asked %d times, %v", asked, err)
			default:
				if d.memory.Fail(); len(d.memory.Values) != values {
					t.Errorf("remembered %v", d.memory.Values)
				}
			}
		})
	}
}
