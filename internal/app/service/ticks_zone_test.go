package service_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestTicksOverSummerTime lives through both changes of summer time with an engine that is
// killed around each tick and is away for a day. Each tick has one run: in spring the one of
// the hour that is skipped comes an hour later, in autumn the one of the hour that comes twice
// comes once, and an hourly one comes in each hour. After the absence only the last tick is
// caught up. The histories depend on B24_MODEL_SEED, and there are B24_MODEL_ROUNDS of each.
func TestTicksOverSummerTime(t *testing.T) {
	t.Parallel()
	portals := []config.Portal{{Name: demo.PortalName, Webhook: "http://portal.example/rest/1/x/", Token: modelToken}}
	m := loadModel(t, fleet.FilesIn(fstest.MapFS{"ticks.yaml": {Data: []byte(`version: 1
rules:
  hourly:
    on: {schedule: "0 * * * *", zone: Europe/Berlin}
    steps:
      - log: {message: tick}
  nightly:
    on: {schedule: "30 2 * * *", zone: Europe/Berlin}
    steps:
      - log: {message: tick}
`)}}), portals, nil)
	hours := func(from time.Time, n int) (out []time.Time) {
		for i := range n {
			out = append(out, from.Add(time.Duration(i)*time.Hour))
		}
		return out
	}
	for _, tt := range []struct {
		name            string
		change          time.Time   // when the clocks change
		away            []time.Time // after a day, when the engine comes back, and the next tick
		hourly, nightly []time.Time
	}{
		{
			"spring", utc("2000-03-26 01:00"),
			[]time.Time{utc("2000-03-27 00:10"), utc("2000-03-27 00:30")},
			append(hours(utc("2000-03-25 23:00"), 6), utc("2000-03-27 00:00")),
			[]time.Time{utc("2000-03-26 01:30"), utc("2000-03-27 00:30")},
		},
		{
			"autumn", utc("2000-10-29 01:00"),
			[]time.Time{utc("2000-10-30 01:10"), utc("2000-10-30 01:30")},
			append(hours(utc("2000-10-28 23:00"), 6), utc("2000-10-30 01:00")),
			[]time.Time{utc("2000-10-29 00:30"), utc("2000-10-30 01:30")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i := range testkit.EnvInt(t, "B24_MODEL_ROUNDS", 1) {
				seed := uint64(testkit.EnvInt(t, "B24_MODEL_SEED", 1) + i)
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					w, err := newWorld(scenario{seed: seed, world: worldKind{plan: emulator.PlanUnlimited, grace: time.Millisecond}}, m.rules, dir, m.empty)
					if err != nil {
						t.Fatal(err)
					}
					defer w.close()
					w.ticks = true
					r := rand.New(rand.NewPCG(seed, 2))
					for at := tt.change.Add(-2 * time.Hour); !at.After(tt.change.Add(3 * time.Hour)); at = at.Add(30 * time.Minute) {
						w.liveThrough(at, r)
					}
					for _, at := range tt.away {
						w.liveThrough(at, r)
					}
					w.start()
					w.finish()
					for rule, want := range map[string][]time.Time{"hourly": tt.hourly, "nightly": tt.nightly} {
						if got := w.ticksOf(t, rule); !slices.Equal(got, want) {
							t.Errorf("seed %d: the ticks of %s\n     %v\nwant %v\n%s", seed, rule, got, want, w.logText())
						}
					}
					for _, wrong := range w.wrong {
						t.Errorf("seed %d: %s", seed, wrong)
					}
				})
			}
		})
	}
}

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// liveThrough starts the engine before a time, kills it around the time, once or twice, and
// stops the last one after it.
func (w *world) liveThrough(at time.Time, r *rand.Rand) {
	time.Sleep(time.Until(at.Add(-3 * time.Second)))
	w.start()
	for range 1 + r.IntN(2) {
		time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
		w.kill(false)
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		w.start()
	}
	time.Sleep(time.Until(at.Add(20 * time.Second)))
	w.stop()
}

// ticksOf returns the ticks of a rule that have started a run, in order. Each of them must have
// one run that has succeeded.
func (w *world) ticksOf(t *testing.T, rule string) (out []time.Time) {
	events, err := journal.FindEvents(context.Background(), w.engine.service.Queue().Database(), journal.EventFilter{Rule: rule, Code: catchup.CodeTick, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		out = append(out, e.Sent.UTC())
	}
	runs, err := journal.FindRuns(context.Background(), w.engine.service.Queue().Database(), journal.Filter{Rule: rule, Limit: 1000})
	if err != nil || len(runs) != len(out) {
		w.complain("%d runs of %d ticks of %s, %v", len(runs), len(out), rule, err)
	}
	for _, run := range runs {
		if run.State != journal.Succeeded {
			w.complain("run %d of %s is %s", run.ID, rule, run.State)
		}
	}
	return out
}
