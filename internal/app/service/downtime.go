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
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/refused"
)

const (
	// heartbeatEvery is how often serve stores that it receives events.
	heartbeatEvery = 20 * time.Second
	// longestGap is the longest time between two heartbeats that is not a downtime.
	// A longer one means that the process was stopped, the computer slept or the
	// database did not answer.
	longestGap = 3 * heartbeatEvery
	// unknownDowntime is what a downtime counts as in which the clock was set back.
	unknownDowntime = 24 * time.Hour
	// eventNotStored is why a window is opened after a lost event.
	eventNotStored = "an event could not be stored"
	// eventsRefused is why one is opened when the application token of a portal changes.
	eventsRefused = "events were refused because of their application token"
)

// downtime notices when events may have been missed, and starts catch-up jobs.
type downtime struct {
	config  *settings
	queue   *queue.Queue
	rules   *fleet.Rules
	portals *portals
	losses  *losses
	// refusals are counted until they are stored.
	refusals *refusals
	log      *slog.Logger
}

// HeartbeatNote is the name of the note that holds a portal's last heartbeat.
func HeartbeatNote(portal string) string { return "alive." + portal }

// watch stores heartbeats until ctx ends. The first one notices the downtime before
// the start, however short it was, because the portal sends each event only once.
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
// process receives them. The portal keeps offline events.
func (d *downtime) heartbeats(ctx context.Context) {
	config := d.config.Load()
	if config.CatchUp.Off {
		return
	}
	var online []*Portal
	for _, c := range config.Portals {
		if p := d.portals.get(c.Name); p != nil && !c.Offline {
			online = append(online, p)
		}
	}
	if err := d.heartbeat(ctx, online...); err != nil && !errors.Is(err, context.Canceled) {
		d.log.Error("cannot store heartbeats", "error", err)
	}
}

// begin stores the first heartbeat of a portal that comes while the service runs.
func (d *downtime) begin(ctx context.Context, portal string) {
	c, p := d.config.Load().Portal(portal), d.portals.get(portal)
	if d.config.Load().CatchUp.Off || c == nil || c.Offline || p == nil {
		return
	}
	if err := d.heartbeat(ctx, p); err != nil {
		d.log.Error("cannot store heartbeat", "portal", portal, "error", err)
	}
}

// heartbeat stores heartbeats of portals. It first stores the jobs for downtimes since
// the last ones, so a crash or a failing database cannot lose a job.
func (d *downtime) heartbeat(ctx context.Context, portals ...*Portal) error {
	stored, err := notes.List(ctx, d.queue.Database(), HeartbeatNote(""))
	if err != nil {
		return err
	}
	last := map[string]time.Time{}
	for _, n := range stored {
		last[n.Name] = n.Set
	}
	now := time.Now().Round(0) // the monotonic clock stands still in a suspended computer
	var names, alive []string
	var windows []catchup.Window
	var incomplete []*Portal
	for _, p := range portals {
		lost := !p.complete.Swap(true)
		if lost {
			incomplete = append(incomplete, p)
		}
		if w, ok := d.windowSince(p, last[HeartbeatNote(p.Name)], now, lost); ok {
			windows = append(windows, w)
		}
		names, alive = append(names, p.Name), append(alive, HeartbeatNote(p.Name))
	}
	err = d.windows().Open(ctx, windows...)
	if err == nil {
		err = notes.SetAll(ctx, d.queue.Database(), alive, "")
	}
	if err != nil {
		for _, p := range incomplete {
			p.complete.Store(false)
		}
		return err
	}
	for _, p := range portals {
		p.started.Store(true)
	}
	for _, w := range windows {
		d.log.Info("events may have been missed", slog.String("portal", w.Portal), slog.Time("since", w.From), slog.Duration("away", w.To.Sub(w.From).Round(time.Second)))
	}
	return d.windows().Resume(ctx, names)
}

// windowSince returns the time in which events of a portal may have been missed since its last
// heartbeat, which is zero if there was none.
func (d *downtime) windowSince(p *Portal, last, now time.Time, afterLoss bool) (catchup.Window, bool) {
	gap := now.Sub(last)
	switch {
	case last.IsZero():
		d.log.Info("first start with this portal, run sync to process the existing entities", "portal", p.Name)
	case afterLoss || gap > longestGap:
		from := now.Add(-max(gap, 0)) // clocks of two processes differ
		if gap < -clockStep {         // the clock was set back, so the length of the downtime is unknown
			from = now.Add(-unknownDowntime)
		}
		why := "no process received events"
		if gap <= longestGap && p.started.Load() {
			why = eventNotStored
		}
		return catchup.Window{Portal: p.Name, From: from, To: now, Why: why}, true
	}
	return catchup.Window{}, false
}

// keepToken stores what proves the events of a portal. So they are stored after a restart without the
// portal, while it is held as removed.
func (d *downtime) keepToken(ctx context.Context, portal string, digest ingest.Digest) error {
	was, known, err := notes.Get(ctx, d.queue.Database(), report.TokenNote(portal))
	if err != nil || known && was.Value == digest.String() {
		return err
	}
	if known {
		return d.replaceToken(ctx, portal, digest)
	}
	return notes.Set(ctx, d.queue.Database(), report.TokenNote(portal), digest.String())
}

// replaceToken is keepToken for a token that has changed while events were received. Each process
// does that, because each knows of the events that it has refused itself.
func (d *downtime) replaceToken(ctx context.Context, portal string, digest ingest.Digest) error {
	if err := d.tokenChanged(ctx, portal); err != nil {
		return err
	}
	return notes.Set(ctx, d.queue.Database(), report.TokenNote(portal), digest.String())
}

// tokenChanged opens a window for the events that were refused before the application token of a
// portal was changed: the portal does not send them again.
func (d *downtime) tokenChanged(ctx context.Context, portal string) error {
	c := d.config.Load().Portal(portal) // nil for a portal whose configuration has errors
	if c != nil && c.Offline || d.config.Load().CatchUp.Off {
		return nil
	}
	d.refusals.flush(ctx)
	now := time.Now()
	r, err := refused.New(d.queue.Database()).Since(ctx, portal, ingest.KindEvent, now.Add(-refused.Kept))
	if err != nil || r.Requests == 0 {
		return err
	}
	from, err := report.LastFromPortal(ctx, d.queue, portal, r.Last)
	if err != nil {
		return err
	}
	if from.Before(r.First) {
		from = r.First
	}
	d.log.Info("events were refused because of their application token, catching up", slog.String("portal", portal), slog.Time("since", from), slog.Int("events", r.Requests))
	return d.windows().Open(ctx, catchup.Window{Portal: portal, From: from, To: now, Why: eventsRefused})
}

// windows are the times that are not caught up yet.
func (d *downtime) windows() *catchup.Windows { return catchup.NewWindows(d.queue.Database()) }

// lost notes that an event of a portal was not stored. The next heartbeat starts a
// catch-up job for it.
func (d *downtime) lost(portal string) {
	if p := d.portals.get(portal); p != nil {
		p.complete.Store(false)
	}
}

// eventLost is lost for an event that this process has received. People are informed.
func (d *downtime) eventLost(portal string) {
	d.losses.add(portal, time.Now())
	d.lost(portal)
}

// allLost calls lost for all portals: another process lost its leases, and perhaps
// events that it was receiving.
func (d *downtime) allLost() {
	for _, p := range d.portals.all() {
		d.lost(p.Name)
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
	limits := d.config.Load().CatchUp
	away := time.Duration(0)
	for _, w := range j.Windows {
		away = max(away, w.To.Sub(w.From))
	}
	client := d.portals.get(j.Portal).Later()
	now, err := catchup.Now(ctx, client)
	if err != nil {
		return j, err
	}
	// Entities have the times of the portal's clock.
	j.Since = j.Downtime.From.Add(time.Until(now) - limits.Margin).In(now.Location()).Truncate(time.Second)
	rules, types, err := d.rulesToCatchUp(ctx, j.Portal, j.Rule)
	if err != nil {
		return j, err
	}
	if limits.Longest > 0 && away > limits.Longest && !j.Ordered {
		return j, d.tooMuch(j, fmt.Sprintf("downtime of %s, catch_up.longest is %s", away.Round(time.Second), limits.Longest))
	}
	for _, typ := range types {
		n, err := catchup.Count(ctx, client, typ, j.Since)
		if catchup.Permanent(err) {
			continue // the feeder logs this type and skips it
		}
		if err != nil {
			return j, err
		}
		if n > limits.Entities && !j.Ordered {
			return j, d.tooMuch(j, fmt.Sprintf("%d entities of type %d have changed, catch_up.entities is %d", n, typ, limits.Entities))
		}
		j.Total += n
	}
	j.Types = types
	// However short the downtime was, something may have been deleted in it, and the
	// portal sends that event once.
	j.Leftovers = leftovers(rules)
	d.log.Info("catching up", slog.String("portal", j.Portal), slog.Time("since", j.Since), slog.Int("entities", j.Total))
	return j, nil
}

// isAboutRule reports whether a catch-up of only, a rule or a rule set, is about a rule; "" are all.
func isAboutRule(only string, r *engine.Rule) bool {
	set, ok := queue.SetOf(only)
	return only == "" || only == r.ID || ok && set == r.Set.Name
}

// rulesToCatchUp are the rules of a portal that can be caught up, or only those of a rule or a
// rule set, and the types of entities that they are about.
func (d *downtime) rulesToCatchUp(ctx context.Context, portal, only string) (rules []Target, types []int, err error) {
	every := false
	for r, inputs := range d.rules.Current().Rules(portal) {
		// A rule with schedules, hooks or robots alone has missed no event: ticks are jobs, and who
		// has sent a request knows that it was not taken.
		if !isAboutRule(only, r) || len(r.Triggers) == 0 && (len(r.Schedules)+len(r.Robots) > 0 || r.Hook != nil) {
			continue
		}
		all, wide, foreign := ScopeOf(r)
		if !canCatchUp(r) || len(all) == 0 && !wide {
			d.log.Warn("cannot catch up a rule", "reason", whyNot(r, foreign), "portal", portal, "rule", r.ID)
			continue
		}
		rules, every = append(rules, Target{Rule: r, Inputs: inputs}), every || wide
		types = append(types, all...)
	}
	if every {
		all, err := DynamicTypes(ctx, d.portals.get(portal).Later())
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
		return "it computes its entity from the event"
	case len(describe.Repeats(r)) > 0:
		return "it repeats steps in every run: " + strings.Join(describe.Repeats(r), ", ")
	}
	return "the entities of its events cannot be listed: " + strings.Join(foreign, ", ")
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

// tooMuch logs that a person has to decide about a catch-up.
func (d *downtime) tooMuch(j catchup.Job, why string) error {
	d.log.Error("too much for catch-up, decide with: b24rules catchup run, or b24rules catchup drop",
		slog.String("portal", j.Portal), slog.String("rule", j.Rule), slog.Time("since", j.Downtime.From), slog.String("reason", why))
	return &catchup.LimitError{Text: why}
}

// concerned returns the rules of a catch-up that need its present stage.
func (d *downtime) concerned(j catchup.Job) []string {
	if j.Rule != "" {
		return []string{j.Rule}
	}
	var ids []string
	for r, inputs := range d.rules.Current().Rules(j.Portal) {
		if canCatchUp(r) && needsPart(Target{Rule: r, Inputs: inputs}, j) {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return []string{""} // the rules have changed in the meantime
	}
	return ids
}

func needsPart(t Target, j catchup.Job) bool {
	if j.Stage >= len(j.Types) {
		return slices.Contains(t.Leftovers(), j.Leftovers[j.Stage-len(j.Types)])
	}
	types, every, _ := ScopeOf(t.Rule)
	return every || slices.Contains(types, j.Types[j.Stage])
}
