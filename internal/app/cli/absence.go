package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/catchup"
)

const (
	// beatEvery is how often serve writes down that it takes events.
	beatEvery = 20 * time.Second
	// silence is from when on no sign of life was an absence: a process that
	// was stopped, a computer that slept, a database that was not there.
	silence = 3 * beatEvery
	// remainsAfter is the absence from which on it is looked for what deleted
	// entities have left: that goes through whole lists.
	remainsAfter = time.Minute
)

func aliveNote(portal string) string { return "alive." + portal }

// watchAbsence writes down that events are taken, and makes up for the time
// when they were not. That begins with every start: how short it ever was, the
// portal has sent its events once.
func (a *app) watchAbsence(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		a.beats(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// beats stores a sign of life for each portal whose events are lost while nobody
// listens. Offline events are kept by the portal.
func (a *app) beats(ctx context.Context) {
	if a.config.CatchUp.Off {
		return
	}
	for _, c := range a.config.Portals {
		if c.Offline {
			continue
		}
		if err := a.beat(ctx, a.portals[c.Name]); err != nil && !errors.Is(err, context.Canceled) {
			a.log.Error("the sign of life cannot be stored", "portal", c.Name, "error", err)
		}
	}
}

// beat stores a sign of life. What was missed since the one before is on disk
// before it, so that neither a crash nor a database that fails forgets it.
func (a *app) beat(ctx context.Context, p *portal) (err error) {
	missed := !p.heard.Swap(true)
	defer func() {
		if missed && err != nil {
			p.heard.Store(false)
		}
	}()
	last, known, err := a.queue.Note(ctx, aliveNote(p.name))
	if err != nil {
		return err
	}
	now := time.Now().Round(0) // the monotonic clock stands still in a suspended computer
	gap := now.Sub(last.Set)
	switch {
	case !known:
		a.log.Info("the first start with this portal: sync fills in what there is", "portal", p.name)
	case missed || gap > silence:
		// A clock that was set back tells nothing of how long it was.
		from := now.Add(-max(gap, 0))
		if err := catchup.Missed(ctx, a.queue, p.name, catchup.Away{From: from, To: now}); err != nil {
			return err
		}
		a.log.Info("events may have been missed", slog.String("portal", p.name), slog.Time("since", from), slog.Duration("away", gap.Round(time.Second)))
	}
	return a.queue.SetNote(ctx, aliveNote(p.name), "")
}

// lost notes that an event of a portal was not stored. It is made up for with
// the next sign of life.
func (a *app) lost(portal string) {
	if p := a.portals[portal]; p != nil {
		p.heard.Store(false)
	}
}

// allLost is lost for all portals: another process was silenced, and what it was
// just being told nobody has.
func (a *app) allLost() {
	for name := range a.portals {
		a.lost(name)
	}
}

// lastBeats stores the last signs of life of a process that ends.
func (a *app) lastBeats(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a.beats(ctx)
}

// prepare finds out what was missed in an absence.
func (a *app) prepare(ctx context.Context, j catchup.Job) (catchup.Job, error) {
	limits := a.config.CatchUp
	away := j.Away.To.Sub(j.Away.From)
	client := a.portals[j.Portal].later()
	now, err := catchup.Now(ctx, client)
	if err != nil {
		return j, err
	}
	// The times of entities are by the portal's clock.
	j.Since = j.Away.From.Add(time.Until(now) - limits.Margin).In(now.Location()).Truncate(time.Second)
	rules, types, err := a.missedBy(ctx, j.Portal)
	if err != nil {
		return j, err
	}
	if limits.Longest > 0 && away > limits.Longest {
		j.Failed = fmt.Sprintf("away for %s, catch_up makes up for %s", away.Round(time.Second), limits.Longest)
		a.tellMissed(j, rules)
		return j, nil
	}
	for _, typ := range types {
		n, err := catchup.Count(ctx, client, typ, j.Since)
		if catchup.Lasting(err) {
			continue // it is left out, and told, when its turn comes
		}
		if err != nil {
			return j, err
		}
		if n > limits.Entities {
			j.Failed = fmt.Sprintf("%d entities of type %d have changed, catch_up takes %d", n, typ, limits.Entities)
			a.tellMissed(j, rules)
			return j, nil
		}
		j.Total += n
	}
	j.Types = types
	if away >= remainsAfter {
		j.Remains = remains(rules)
	}
	a.log.Info("catching up", slog.String("portal", j.Portal), slog.Time("since", j.Since), slog.Int("entities", j.Total))
	return j, nil
}

// missedBy are the rules of a portal that can be made up for, and the types of
// entities that they are about.
func (a *app) missedBy(ctx context.Context, portal string) (rules []target, types []int, err error) {
	every := false
	for _, set := range a.rules.current.Load().sets {
		inputs, ok := set.inputs[portal]
		if !ok {
			continue
		}
		for _, r := range set.set.Rules {
			if !servesPortal(r, portal) {
				continue
			}
			all, wide, foreign := scopeOf(r)
			if !settles(r) || len(all) == 0 && !wide {
				a.log.Warn("a rule is not caught up: "+whyNot(r, foreign), "portal", portal, "rule", r.ID)
				continue
			}
			rules, every = append(rules, target{rule: r, inputs: inputs}), every || wide
			types = append(types, all...)
		}
	}
	if every {
		all, err := dynamicTypes(ctx, a.portals[portal].later())
		if err != nil {
			return nil, nil, err
		}
		types = append(types, all...)
	}
	slices.Sort(types)
	return rules, slices.Compact(types), nil
}

func whyNot(r *engine.Rule, foreign []string) string {
	switch {
	case r.Derived():
		return "only an event tells what it is about"
	case len(describe.Repeats(r)) > 0:
		return "it would do again what it has done: " + strings.Join(describe.Repeats(r), ", ")
	}
	return "what it hears of cannot be listed: " + strings.Join(foreign, ", ")
}

// remains are the places where the rules leave things of entities.
func remains(rules []target) []catchup.Remain {
	var out []catchup.Remain
	for _, t := range rules {
		for _, r := range remainsOf(t) {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// tellMissed says what to do about an absence that is not made up for.
func (a *app) tellMissed(j catchup.Job, rules []target) {
	ids := make([]string, len(rules))
	for i, t := range rules {
		ids[i] = t.rule.ID
	}
	a.log.Error("what was missed is not made up for: b24rules sync --rule ID --since "+j.Since.Format(time.RFC3339),
		slog.String("portal", j.Portal), slog.String("why", j.Failed), slog.String("rules", strings.Join(ids, ",")))
}
