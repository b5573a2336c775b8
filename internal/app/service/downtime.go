package service

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
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// heartbeatEvery is how often serve stores that it receives events.
	heartbeatEvery = 20 * time.Second
	// longestGap is the time without a heartbeat from which on it counts as a
	// downtime: of a process that was stopped, a computer that slept, or a
	// database that did not answer.
	longestGap = 3 * heartbeatEvery
	// leftoversAfter is the downtime from which on catch-up also looks for the
	// leftovers of deleted entities: that reads whole lists.
	leftoversAfter = time.Minute
)

// downtime notices when events may have been missed, and has them caught up.
type downtime struct {
	config  *config.Config
	queue   *queue.Queue
	rules   *Rules
	portals portals
	log     *slog.Logger
}

// HeartbeatNote is the name of the note that holds a portal's last heartbeat.
func HeartbeatNote(portal string) string { return "alive." + portal }

// watch stores heartbeats until ctx ends. The first one notices the downtime
// before the start: the portal sends each event once, however short that was.
func (d *downtime) watch(ctx context.Context) {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		d.heartbeats(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// heartbeats stores a heartbeat for each portal whose events are lost while no
// process receives them. Offline events are kept by the portal.
func (d *downtime) heartbeats(ctx context.Context) {
	if d.config.CatchUp.Off {
		return
	}
	for _, c := range d.config.Portals {
		if c.Offline {
			continue
		}
		if err := d.heartbeat(ctx, d.portals[c.Name]); err != nil && !errors.Is(err, context.Canceled) {
			d.log.Error("the sign of life cannot be stored", "portal", c.Name, "error", err)
		}
	}
}

// heartbeat stores a heartbeat. The job for a downtime since the one before is
// stored before it, so that neither a crash nor a failing database loses it.
func (d *downtime) heartbeat(ctx context.Context, p *Portal) (err error) {
	afterLoss := !p.heard.Swap(true)
	defer func() {
		if afterLoss && err != nil {
			p.heard.Store(false)
		}
	}()
	last, known, err := d.queue.Note(ctx, HeartbeatNote(p.Name))
	if err != nil {
		return err
	}
	now := time.Now().Round(0) // the monotonic clock stands still in a suspended computer
	gap := now.Sub(last.Set)
	switch {
	case !known:
		d.log.Info("the first start with this portal: sync fills in what there is", "portal", p.Name)
	case afterLoss || gap > longestGap:
		// A clock that was set back tells nothing of how long it was.
		from := now.Add(-max(gap, 0))
		if err := catchup.StartCatchUp(ctx, d.queue, p.Name, catchup.Downtime{From: from, To: now}); err != nil {
			return err
		}
		d.log.Info("events may have been missed", slog.String("portal", p.Name), slog.Time("since", from), slog.Duration("away", gap.Round(time.Second)))
	}
	return d.queue.SetNote(ctx, HeartbeatNote(p.Name), "")
}

// lost notes that an event of a portal was not stored. The next heartbeat has it
// caught up.
func (d *downtime) lost(portal string) {
	if p := d.portals[portal]; p != nil {
		p.heard.Store(false)
	}
}

// allLost is lost for all portals: another process lost its leases, and with
// them the events that it was just receiving.
func (d *downtime) allLost() {
	for name := range d.portals {
		d.lost(name)
	}
}

// lastHeartbeats stores the last heartbeats of a process that ends.
func (d *downtime) lastHeartbeats(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	d.heartbeats(ctx)
}

// prepare finds the entities that changed during a downtime.
func (d *downtime) prepare(ctx context.Context, j catchup.Job) (catchup.Job, error) {
	limits := d.config.CatchUp
	away := j.Downtime.To.Sub(j.Downtime.From)
	client := d.portals[j.Portal].Later()
	now, err := catchup.Now(ctx, client)
	if err != nil {
		return j, err
	}
	// The times of entities are by the portal's clock.
	j.Since = j.Downtime.From.Add(time.Until(now) - limits.Margin).In(now.Location()).Truncate(time.Second)
	rules, types, err := d.rulesToCatchUp(ctx, j.Portal)
	if err != nil {
		return j, err
	}
	if limits.Longest > 0 && away > limits.Longest {
		j.Failed = fmt.Sprintf("away for %s, catch_up makes up for %s", away.Round(time.Second), limits.Longest)
		d.logCatchUp(j, rules)
		return j, nil
	}
	for _, typ := range types {
		n, err := catchup.Count(ctx, client, typ, j.Since)
		if catchup.Permanent(err) {
			continue // it is left out, and told, when its turn comes
		}
		if err != nil {
			return j, err
		}
		if n > limits.Entities {
			j.Failed = fmt.Sprintf("%d entities of type %d have changed, catch_up takes %d", n, typ, limits.Entities)
			d.logCatchUp(j, rules)
			return j, nil
		}
		j.Total += n
	}
	j.Types = types
	if away >= leftoversAfter {
		j.Leftovers = leftovers(rules)
	}
	d.log.Info("catching up", slog.String("portal", j.Portal), slog.Time("since", j.Since), slog.Int("entities", j.Total))
	return j, nil
}

// rulesToCatchUp are the rules of a portal that can be caught up, and the types of
// entities that they are about.
func (d *downtime) rulesToCatchUp(ctx context.Context, portal string) (rules []Target, types []int, err error) {
	every := false
	for _, set := range d.rules.Current().sets {
		inputs, ok := set.inputs[portal]
		if !ok {
			continue
		}
		for _, r := range set.set.Rules {
			if !servesPortal(r, portal) {
				continue
			}
			all, wide, foreign := ScopeOf(r)
			if !canCatchUp(r) || len(all) == 0 && !wide {
				d.log.Warn("a rule is not caught up: "+whyNot(r, foreign), "portal", portal, "rule", r.ID)
				continue
			}
			rules, every = append(rules, Target{Rule: r, Inputs: inputs}), every || wide
			types = append(types, all...)
		}
	}
	if every {
		all, err := DynamicTypes(ctx, d.portals[portal].Later())
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

// leftovers are the places where rules leave records of their entities.
func leftovers(rules []Target) []catchup.Leftover {
	var out []catchup.Leftover
	for _, t := range rules {
		for _, r := range t.Leftovers() {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// logCatchUp logs the command that catches up what catch-up does not.
func (d *downtime) logCatchUp(j catchup.Job, rules []Target) {
	ids := make([]string, len(rules))
	for i, t := range rules {
		ids[i] = t.Rule.ID
	}
	d.log.Error("what was missed is not made up for: b24rules sync --rule ID --since "+j.Since.Format(time.RFC3339),
		slog.String("portal", j.Portal), slog.String("why", j.Failed), slog.String("rules", strings.Join(ids, ",")))
}
