package rollout

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/reload"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// watchEvery is the interval between two reads of the trouble of a wave.
	watchEvery = time.Second
	// lastBake is how long the last wave is watched at the most.
	lastBake = time.Minute
	// liveLook is the interval between two reads of the versions that run.
	liveLook = 100 * time.Millisecond
)

// Applying brings new versions to portals, wave by wave. Serve must run.
type Applying struct {
	Queue *queue.Queue
	// Who and Via are those of the entries for the audit.
	Who, Via string
	// Bake is how long each wave is watched, the last one at most a minute. Halt is how many runs of a
	// wave may be parked in that time.
	Bake time.Duration
	Halt int
	// Planned runs the entities of a saved plan, nil without one.
	Planned *Planned
	// Watched is called when the versions of a wave run, and are watched for some time.
	Watched func(w Wave, bake time.Duration)
}

// HaltedError says that failures of a wave have ended a rollout. Later waves keep their versions.
type HaltedError struct {
	Wave string
	// Trouble are the holds and the parked runs.
	Trouble []string
	// Queued is how many runs of a saved plan each portal may still have in the queue.
	Queued int
}

// Error implements error.
func (e *HaltedError) Error() string {
	return fmt.Sprintf("wave %s has ended the rollout: %s", e.Wave, strings.Join(e.Trouble, "; "))
}

// RefusedError says that serve does not run versions of a wave. Reasons has one for each.
type RefusedError struct{ Reasons []string }

// Error implements error.
func (e *RefusedError) Error() string { return strings.Join(e.Reasons, "\n") }

// InterruptedError says that the context has ended after the versions of a wave ran. What runs already is
// not applied again.
type InterruptedError struct {
	// Filling says that entities of a saved plan were being run. Otherwise the wave was watched.
	Filling bool
	Err     error // of the context
}

// Error implements error.
func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the context.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Run applies the waves. Its error is a HaltedError or a RefusedError if a wave has ended it.
func (a *Applying) Run(ctx context.Context, waves []Wave) error {
	for i, w := range waves {
		bake := a.Bake
		if i == len(waves)-1 { // no wave waits for it
			bake = min(bake, lastBake)
		}
		if err := a.wave(ctx, w, bake); err != nil {
			return err
		}
	}
	return nil
}

// wave applies the versions of a wave, runs the entities of a plan, and watches the wave.
func (a *Applying) wave(ctx context.Context, w Wave, bake time.Duration) error {
	before, err := w.trouble(ctx, a.Queue)
	if err != nil {
		return err
	}
	if err := a.makeLive(ctx, w); err != nil {
		return err
	}
	// check returns a HaltedError if the wave has new trouble.
	check := func() error {
		now, err := w.trouble(ctx, a.Queue)
		if err != nil {
			return err
		}
		parked, held := now.since(before)
		if len(parked) <= a.Halt && len(held) == 0 {
			return nil
		}
		return &HaltedError{Wave: w.Name, Trouble: append(held, parked...)}
	}
	if a.Planned != nil {
		if err := a.Planned.fill(ctx, w, check); err != nil {
			return err
		}
	}
	a.Watched(w, bake)
	for end := time.Now().Add(bake); ; {
		err := check()
		if err == nil && !time.Now().Before(end) {
			return nil
		}
		if err == nil {
			err = wakeup.Sleep(ctx, min(watchEvery, time.Until(end)))
		}
		if ctx.Err() != nil {
			return &InterruptedError{Err: ctx.Err()}
		}
		if err != nil {
			return err
		}
	}
}

// makeLive applies the versions of a wave and waits until serve runs them.
func (a *Applying) makeLive(ctx context.Context, w Wave) error {
	versions := fleet.Applied{}
	var notes []audit.Entry
	for _, c := range w.Changes {
		versions[[2]string{c.Portal, c.Set}] = c.After
		if c.Before != c.After {
			notes = append(notes, audit.Entry{
				Action: audit.Applied, Who: a.Who, Via: a.Via, Portal: c.Portal, Target: "rule set " + c.Set, Result: strings.TrimSpace(c.Before + " -> " + c.After),
			})
		}
	}
	err := fleet.NewStore(a.Queue.Database()).Apply(ctx, versions, a.Who, func(ctx context.Context, t store.Tx) error { return audit.AddIn(ctx, t, notes...) })
	if err != nil {
		return err
	}
	if len(notes) == 0 { // all of them run already
		return nil
	}
	_, silent, err := reload.Ask(ctx, a.Queue, reload.Request{ID: rand.Text(), By: a.Who})
	if err != nil {
		return err
	}
	if len(silent) > 0 {
		return fmt.Errorf("wave %s: no answer within %s from %s", w.Name, reload.Patience, strings.Join(silent, ", "))
	}
	return w.waitLive(ctx, a.Queue)
}

// waitLive waits until serve has stored what became of the versions of a wave.
func (w Wave) waitLive(ctx context.Context, q *queue.Queue) error {
	for until := time.Now().Add(reload.Patience); ; {
		live, err := readLive(ctx, q)
		if err != nil {
			return err
		}
		var missing, refused []string
		for _, c := range w.Changes {
			l := live[[2]string{c.Portal, c.Set}]
			switch {
			case l.Version == c.After:
			case l.Refused != "" && !strings.Contains(l.Refused, "[not-applied]"):
				refused = append(refused, fmt.Sprintf("portal %s refuses %s: %s", c.Portal, c.Set, l.Refused))
			default:
				missing = append(missing, c.Portal)
			}
		}
		switch {
		case len(refused) > 0:
			return &RefusedError{refused}
		case len(missing) == 0:
			return nil
		case time.Now().After(until):
			return fmt.Errorf("after %s serve does not run the new versions in %s", reload.Patience, strings.Join(missing, ", "))
		}
		if err := wakeup.Sleep(ctx, liveLook); err != nil {
			return err
		}
	}
}

// trouble is what is wrong with the rules and the portals of a wave, as texts by what tells
// it from other trouble.
type trouble struct{ parked, held map[string]string }

// trouble reads the parked runs of a wave's rules, and the holds.
func (w Wave) trouble(ctx context.Context, q *queue.Queue) (trouble, error) {
	out := trouble{map[string]string{}, map[string]string{}}
	rules := map[[2]string]bool{}
	var ids []string
	for _, c := range w.Changes {
		for _, id := range c.Rules {
			rules[[2]string{c.Portal, id}] = true
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	runs, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Portals: w.Portals, Rules: ids, States: []journal.State{journal.Parked}, Limit: 1000 * len(ids)})
	if err != nil {
		return out, err
	}
	for _, r := range runs {
		if rules[[2]string{r.Portal, r.Rule}] {
			out.parked[fmt.Sprintf("%d %d", r.ID, r.Attempt)] = fmt.Sprintf("portal %s: run %d of rule %s for %s is parked: %s", r.Portal, r.ID, r.Rule, r.Entity, r.Error)
		}
	}
	holds, err := q.HoldList(ctx)
	for _, h := range holds {
		if slices.Contains(w.Portals, h.Portal) && (h.Rule == "" || rules[[2]string{h.Portal, h.Rule}]) {
			what := report.Paused(h.Portal, h.Rule)
			out.held[what+" "+h.Cause] = fmt.Sprintf("%s is %s: %s", what, h.Cause, h.Reason)
		}
	}
	return out, err
}

// since returns the trouble that was not there before.
func (t trouble) since(before trouble) (parked, held []string) {
	for _, key := range slices.Sorted(maps.Keys(t.parked)) {
		if before.parked[key] == "" {
			parked = append(parked, t.parked[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.held)) {
		if before.held[key] == "" {
			held = append(held, t.held[key])
		}
	}
	return parked, held
}
