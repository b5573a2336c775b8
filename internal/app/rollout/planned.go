package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// planAtOnce is how many entities of a portal are checked and then run, before the next ones:
	// a wave that ends apply leaves at most these in the queue.
	planAtOnce = 50
	// planPortals is how many portals of a wave run entities at the same time.
	planPortals = 10
	// planLook is how often apply looks whether runs have ended.
	planLook = 200 * time.Millisecond
	// planIdle is after how long without the end of a run apply looks whether serve still runs,
	// and planStuck after how long it gives the portal up: the disk of serve may be full.
	planIdle, planStuck = 5 * time.Second, 2 * time.Minute
)

// Planned is a saved plan that is applied.
type Planned struct {
	Service *service.Service
	Rules   *fleet.Generation // of the files on disk
	// Effects also runs rules with steps that take effect in every run.
	Effects bool
	// Omitted is called for what of the plan is not applied in a portal. Filled is called when the
	// entities of a portal have run, and Away when the portal does not take them, with those that it
	// took before. They are called by several goroutines, and not at the same time.
	Omitted func(portal, why string)
	Filled  func(portal string, f Filled)
	Away    func(portal string, why error, f Filled)

	portals map[string]report.PortalChange // those that are applied

	mu            sync.Mutex
	omitted, away int
}

// Filled counts what became of the entities of a portal. Done had nothing left to change.
type Filled struct{ Ran, Done, Moved, Failed int }

// Rest is how many entities and portals of the plan were omitted so far, and how many portals did not
// answer, or have runs that did not end.
func (p *Planned) Rest() (omitted, away int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.omitted, p.away
}

// omit notes what of the plan is not applied.
func (p *Planned) omit(portal, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.omitted++
	p.Omitted(portal, fmt.Sprintf(format, args...))
}

// Save writes a plan to a file that only its user can read, because it has data of customers. The file is
// there whole or not at all.
func Save(name string, plan report.ChangePlan) (err error) {
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("the plan is not saved: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // with the rights 0600
	if err != nil {
		return fmt.Errorf("the plan is not saved: %w", config.Plain(err))
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("the plan is not saved: %w", config.Plain(err))
	}
	return nil
}

// ReadPlan reads a saved plan that can still be applied.
func ReadPlan(file string) (report.ChangePlan, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return report.ChangePlan{}, fmt.Errorf("cannot read the plan: %w", config.Plain(err))
	}
	plan, err := report.ReadChangePlan(data)
	if err != nil {
		return plan, fmt.Errorf("cannot read the plan %s: %w", file, err)
	}
	if age := time.Since(plan.Made); age > report.PlanAge {
		return plan, fmt.Errorf("the plan %s is of %s, and after %d days much may have changed: plan again", file, plan.Made.Local().Format(time.DateTime), int(report.PlanAge.Hours())/24)
	}
	return plan, nil
}

// Check returns the versions of a plan for those of some portals that are still as they were when it was
// made. Only these can be applied. It also returns versions that run already, because their entities may
// not have run.
func (p *Planned) Check(ctx context.Context, c *config.Config, plan report.ChangePlan, portals []string) ([]Change, error) {
	live, err := readLive(ctx, p.Service.Queue())
	if err != nil {
		return nil, err
	}
	holds, err := p.Service.Queue().HoldList(ctx)
	if err != nil {
		return nil, err
	}
	pauses, err := p.Service.Queue().Pauses(ctx)
	if err != nil {
		return nil, err
	}
	p.portals = map[string]report.PortalChange{}
	var all []Change
	for _, change := range plan.Portals {
		name := change.Portal
		if !slices.Contains(portals, name) {
			if c.Portal(name) == nil && c.BrokenPortal(name) == nil {
				p.omit(name, "the configuration does not have it any more")
			}
			continue
		}
		if len(change.Sets) == 0 && change.NotSeen == "" {
			continue
		}
		why := heldPortal(holds, name)
		for _, pause := range pauses {
			if pause.Portal == name || pause.Portal == "" {
				why = report.PauseText(pause, nil)
			}
		}
		switch b := c.BrokenPortal(name); {
		case b != nil:
			p.omit(name, "its configuration has errors: %s", b.Reason())
			continue
		case change.NotSeen != "":
			p.omit(name, "the plan has not seen everything there (%s): plan again", change.NotSeen)
			continue
		case p.Service.Portal(name).Shadow():
			p.omit(name, "it is in shadow mode, so rules write nothing")
			continue
		case why != "":
			p.omit(name, "%s: repeat the command when that is over", why)
			continue
		}
		if stale := p.stale(change, live); stale != "" {
			p.omit(name, "the plan is stale: %s: plan again", stale)
			continue
		}
		p.portals[name] = change
		for _, i := range p.Rules.Instances(name) {
			if slices.ContainsFunc(change.Sets, func(s report.SetChange) bool { return s.Set == i.Set.Name }) {
				all = append(all, changeOf(name, i, live))
			}
		}
	}
	return all, nil
}

// stale says what of a portal is no longer as it was when the plan was made, "" if all is.
func (p *Planned) stale(change report.PortalChange, live live) string {
	for _, set := range change.Sets {
		now := live.version(change.Portal, set.Set)
		if now != set.Before && now != set.After {
			return fmt.Sprintf("rule set %s runs in version %s, and the plan is for %s -> %s", set.Set, orNone(now), orNone(set.Before), set.After)
		}
		on := ""
		for _, i := range p.Rules.Instances(change.Portal) {
			if i.Set.Name == set.Set {
				on = i.Set.Version
			}
		}
		if on != set.After {
			return fmt.Sprintf("rule set %s has the version %s on disk, and the plan is for %s: put the planned file there", set.Set, orNone(on), set.After)
		}
	}
	return ""
}

// fill runs the entities of the plan in the portals of a wave, until check returns an error.
func (p *Planned) fill(ctx context.Context, w Wave, check func() error) error {
	filling, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, planPortals)
	var workers sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, portal := range w.Portals {
		workers.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := p.fillPortal(filling, portal); err != nil && filling.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("portal %s: %w", portal, err))
			}
		})
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-tick.C:
		}
		if err := check(); err != nil {
			cancel()
			<-ended
			var halted *HaltedError
			switch {
			case ctx.Err() != nil:
				return &InterruptedError{Filling: true, Err: ctx.Err()}
			case errors.As(err, &halted):
				halted.Queued = planAtOnce
			}
			return err
		}
	}
	return failed
}

// fillPortal runs the entities of the plan in one portal.
func (p *Planned) fillPortal(ctx context.Context, portal string) error {
	change := p.portals[portal]
	sum := Filled{}
	for len(change.Entities) > 0 {
		rule := change.Entities[0].Rule
		n := slices.IndexFunc(change.Entities, func(e report.EntityChange) bool { return e.Rule != rule })
		if n < 0 {
			n = len(change.Entities)
		}
		some := change.Entities[:n]
		change.Entities = change.Entities[n:]
		r, inputs, ok := p.Rules.Rule(rule, portal)
		if !ok {
			p.omit(portal, "rule %s is not there any more: plan again", rule)
			continue
		}
		if repeats := describe.Repeats(r); len(repeats) > 0 && !p.Effects {
			p.omit(portal, "rule %s has steps that take effect in every run (%s), so its %s not run: add --allow-effects", rule, strings.Join(repeats, ", "), report.Plural(len(some), "entity is", "entities are"))
			continue
		}
		for page := range slices.Chunk(some, planAtOnce) {
			fault, err := p.fillPage(ctx, portal, service.Target{Rule: r, Inputs: inputs}, page, &sum)
			if err != nil {
				return err
			}
			if fault != nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.away++
				p.Away(portal, fault, sum)
				return nil
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Filled(portal, sum)
	return nil
}

// fillPage looks what a rule would write for entities, runs those for which it is what was planned,
// and waits until these have ended. fault is why the portal does not take them, nil if it does.
func (p *Planned) fillPage(ctx context.Context, portal string, t service.Target, page []report.EntityChange, sum *Filled) (fault, err error) {
	entities := make([]engine.Entity, len(page))
	for i, e := range page {
		if entities[i], err = engine.ParseEntity(e.Entity); err != nil {
			return nil, fmt.Errorf("the plan is damaged: %w", err)
		}
	}
	now, faults := make([]report.Plan, len(page)), make([]error, len(page))
	err = t.ForEach(entities, func(i int, one service.Target) (err error) {
		now[i], faults[i], err = p.planNow(ctx, portal, one)
		return err
	})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(faults, func(err error) bool { return err != nil }); i >= 0 {
		return fmt.Errorf("does not answer: %w", faults[i]), nil
	}
	var routes []queue.Route
	for i, e := range page {
		switch {
		case now[i].Error != "":
			sum.Failed++
			p.omit(portal, "rule %s for %s would fail, so it is not run: %s", e.Rule, e.Entity, now[i].Error)
		case !slices.ContainsFunc(now[i].Changes, func(c dryrun.Change) bool { return !c.Same() }):
			sum.Done++
		case now[i].Digest() != e.Digest:
			sum.Moved++
			p.omit(portal, "%s has moved on since the plan, so rule %s is not run for it", e.Entity, e.Rule)
		default:
			routes = append(routes, queue.Route{Rule: e.Rule, Entity: entities[i].String()})
		}
	}
	if len(routes) == 0 {
		return nil, nil
	}
	q := p.Service.Queue()
	r, err := q.Backfill(ctx, queue.Page{Portal: portal, Code: catchup.CodeApply, Routes: routes})
	if err != nil {
		return nil, err
	}
	sum.Ran += len(routes)
	if r.Event != 0 { // otherwise all of them have joined runs that wait
		if fault, err = p.waitEnded(ctx, portal, r.Event, len(routes)); fault != nil || err != nil {
			return fault, err
		}
	}
	return nil, p.count(ctx, portal, r.Event, sum)
}

// planNow is what a rule would write now for an entity, as a run without an event. fault is not nil if
// that is not known because the portal as a whole does not answer.
func (p *Planned) planNow(ctx context.Context, portal string, t service.Target) (plan report.Plan, fault, err error) {
	at := p.Service.Portal(portal)
	plan, err = p.Service.Plan(ctx, service.DryRun{Target: t, Portal: at, Client: at.Later(), Quiet: true, Faults: true})
	if bitrix.FaultOf(err) != bitrix.NoFault {
		return plan, err, nil
	}
	return plan, nil, err
}

// waitEnded waits until the runs of a page have ended. fault is why they do not.
func (p *Planned) waitEnded(ctx context.Context, portal string, event int64, n int) (fault, err error) {
	q, ended := p.Service.Queue(), time.Now() // of the last run
	for {
		open, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Portal: portal, Event: event, States: []journal.State{journal.Waiting, journal.Running}, Limit: planAtOnce})
		if err != nil {
			return nil, err
		}
		// A run that has failed is tried again for up to a day, and nothing waits for that.
		open = slices.DeleteFunc(open, func(i journal.Run) bool { return i.State == journal.Waiting && i.Attempt > 0 })
		if len(open) < n {
			n, ended = len(open), time.Now()
		}
		if n == 0 {
			return nil, nil
		}
		if idle := time.Since(ended); idle > planIdle {
			served, err := q.Served(ctx)
			switch {
			case err != nil:
				return nil, err
			case !served:
				return fmt.Errorf("has %s in the queue, and serve does not run", report.Plural(n, "run", "runs")), nil
			case idle > planStuck:
				return fmt.Errorf("has %s in the queue that have not ended for %s: look into the log of serve", report.Plural(n, "run", "runs"), planStuck), nil
			}
		}
		if err := wakeup.Sleep(ctx, planLook); err != nil {
			return nil, err
		}
	}
}

// count counts the runs of a page that have failed.
func (p *Planned) count(ctx context.Context, portal string, event int64, sum *Filled) error {
	if event == 0 {
		return nil
	}
	failed, err := journal.FindRuns(ctx, p.Service.Queue().Database(), journal.Filter{Portal: portal, Event: event, States: []journal.State{journal.Waiting, journal.Parked}, Limit: planAtOnce})
	if err != nil {
		return err
	}
	for _, r := range failed {
		sum.Ran--
		sum.Failed++
		p.omit(portal, "run %d of rule %s for %s has failed: %s", r.ID, r.Rule, r.Entity, r.Error)
	}
	return nil
}
