package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/catchup"
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

// planApplied applies a saved plan.
type planApplied struct {
	s       *service.Service
	gen     *fleet.Generation // of the files on disk
	env     environment
	effects bool
	portals map[string]report.PortalChange // those that are applied

	mu   sync.Mutex
	left int // entities and portals of the plan that were omitted
	away int // portals that did not answer, or whose runs did not end
}

// leave notes and says what of the plan is omitted.
func (p *planApplied) leave(format string, args ...any) {
	p.mu.Lock()
	p.left++
	p.mu.Unlock()
	p.env.say("%s", p.env.redactor.Text(fmt.Sprintf(format, args...)))
}

// runPlan applies the plan in a file.
func (a *applying) runPlan(ctx context.Context, env environment, file string) error {
	c, err := loadConfig(env, a.config)
	if err != nil {
		return err
	}
	plan, err := readPlan(file)
	if err != nil {
		return err
	}
	names, err := selectPortals(c, a.portal)
	if err != nil {
		return err
	}
	if err := haveDatabase(c); err != nil {
		return err
	}
	a.defaults(c)
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	s, done, err := openService(ctx, c, rules, true, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	a.plan = &planApplied{s: s, gen: gen, env: env, effects: a.effects, portals: map[string]report.PortalChange{}}
	all, err := a.plan.check(ctx, c, plan, names)
	if err != nil {
		return err
	}
	waves, err := a.split(c, all)
	if err != nil {
		return err
	}
	if len(waves) > 0 {
		if a.yes {
			e := audit.Entry{Action: audit.Applied, Target: "plan " + file, Result: fmt.Sprintf("made %s by %s", plan.Made.Format(time.RFC3339), plan.By)}
			if err := note(ctx, s.Queue(), e); err != nil {
				return err
			}
		}
		if err := a.applyWaves(ctx, env, s.Queue(), waves); err != nil {
			return err
		}
	}
	switch {
	case a.plan.away > 0:
		return fmt.Errorf("the plan is not applied in %s: repeat the command later", report.Plural(a.plan.away, "portal", "portals"))
	case a.plan.left > 0:
		env.say("the rest of the plan is applied")
		return errFindings
	}
	env.say("the plan is applied")
	return nil
}

// readPlan reads a saved plan that can still be applied.
func readPlan(file string) (report.ChangePlan, error) {
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

// check returns the versions of the plan for portals that are still as they were when it was made,
// and says which are not.
func (p *planApplied) check(ctx context.Context, c *config.Config, plan report.ChangePlan, names []string) ([]newVersion, error) {
	live, err := liveVersions(ctx, p.s.Queue())
	if err != nil {
		return nil, err
	}
	holds, err := p.s.Queue().HoldList(ctx)
	if err != nil {
		return nil, err
	}
	pauses, err := p.s.Queue().Pauses(ctx)
	if err != nil {
		return nil, err
	}
	var all []newVersion
	for _, change := range plan.Portals {
		if !slices.Contains(names, change.Portal) {
			if all, _ := selectPortals(c, ""); !slices.Contains(all, change.Portal) {
				p.leave("portal %s: the configuration does not have it any more", change.Portal)
			}
			continue
		}
		if len(change.Sets) == 0 && change.NotSeen == "" {
			continue
		}
		why := heldPortal(holds, change.Portal)
		for _, pause := range pauses {
			if pause.Portal == change.Portal || pause.Portal == "" {
				why = report.PauseText(pause, nil)
			}
		}
		switch b := brokenPortal(c, change.Portal); {
		case b != nil:
			p.leave("portal %s: its configuration has errors: %s", change.Portal, b.Reason())
			continue
		case change.NotSeen != "":
			p.leave("portal %s: the plan has not seen everything there (%s): plan again", change.Portal, change.NotSeen)
			continue
		case p.s.Portal(change.Portal).Shadow():
			p.leave("portal %s: it is in shadow mode, so rules write nothing", change.Portal)
			continue
		case why != "":
			p.leave("portal %s: %s: repeat the command when that is over", change.Portal, why)
			continue
		}
		if stale := p.stale(change, live); stale != "" {
			p.leave("portal %s: the plan is stale: %s: plan again", change.Portal, stale)
			continue
		}
		p.portals[change.Portal] = change
		all = append(all, p.versions(change, live)...)
	}
	return all, nil
}

// stale says what of a portal is no longer as it was when the plan was made, "" if all is.
func (p *planApplied) stale(change report.PortalChange, live map[[2]string]fleet.Live) string {
	for _, set := range change.Sets {
		now := live[[2]string{change.Portal, set.Set}].Version
		if now != set.Before && now != set.After {
			return fmt.Sprintf("rule set %s runs in version %s, and the plan is for %s -> %s", set.Set, orNone(now), orNone(set.Before), set.After)
		}
		on := ""
		for _, i := range p.gen.Instances(change.Portal) {
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

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

// versions are the new versions of a portal, also those that run already.
func (p *planApplied) versions(change report.PortalChange, live map[[2]string]fleet.Live) []newVersion {
	var out []newVersion
	for _, i := range p.gen.Instances(change.Portal) {
		if !slices.ContainsFunc(change.Sets, func(s report.SetChange) bool { return s.Set == i.Set.Name }) {
			continue
		}
		v := newVersion{portal: change.Portal, set: i.Set.Name, before: live[[2]string{change.Portal, i.Set.Name}].Version, after: i.Set.Version}
		for _, r := range i.Set.Rules {
			v.rules = append(v.rules, r.ID)
		}
		out = append(out, v)
	}
	return out
}

// fill runs the entities of the plan in the portals of a wave, until halts reports that the wave
// has ended apply.
func (p *planApplied) fill(ctx context.Context, env environment, w wave, halts func() (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, planPortals)
	var workers sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, portal := range w.portals() {
		workers.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := p.fillPortal(ctx, portal); err != nil && ctx.Err() == nil {
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
		halted, err := halts()
		if halted || err != nil {
			cancel()
			<-ended
			if halted {
				env.say("at most %d runs of each of its portals are still in the queue", planAtOnce)
				err = errFindings
			}
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		env.say("interrupted: repeat the command to continue")
		return err
	}
	return failed
}

// fillPortal runs the entities of the plan in one portal.
func (p *planApplied) fillPortal(ctx context.Context, portal string) error {
	change := p.portals[portal]
	sum := filled{}
	for len(change.Entities) > 0 {
		rule := change.Entities[0].Rule
		n := slices.IndexFunc(change.Entities, func(e report.EntityChange) bool { return e.Rule != rule })
		if n < 0 {
			n = len(change.Entities)
		}
		some := change.Entities[:n]
		change.Entities = change.Entities[n:]
		r, inputs, ok := p.gen.Rule(rule, portal)
		if !ok {
			p.leave("portal %s: rule %s is not there any more: plan again", portal, rule)
			continue
		}
		if repeats := describe.Repeats(r); len(repeats) > 0 && !p.effects {
			p.leave("portal %s: rule %s has steps that take effect in every run (%s), so its %s not run: add --allow-effects", portal, rule, strings.Join(repeats, ", "), report.Plural(len(some), "entity is", "entities are"))
			continue
		}
		for page := range slices.Chunk(some, planAtOnce) {
			fault, err := p.fillPage(ctx, portal, service.Target{Rule: r, Inputs: inputs}, page, &sum)
			if err != nil {
				return err
			}
			if fault != nil {
				p.mu.Lock()
				p.away++
				p.mu.Unlock()
				p.env.say("portal %s %v; %s; the rest is not applied", portal, p.env.redactor.Error(fault), sum)
				return nil
			}
		}
	}
	p.env.say("portal %s: %s", portal, sum)
	return nil
}

// filled counts what became of the entities of a portal.
type filled struct{ ran, done, moved, failed int }

func (f filled) String() string {
	words := []string{report.Plural(f.ran, "entity", "entities") + " run"}
	for _, one := range []struct {
		n    int
		text string
	}{{f.done, "had nothing left to change"}, {f.moved, "moved on"}, {f.failed, "failed"}} {
		if one.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", one.n, one.text))
		}
	}
	return strings.Join(words, ", ")
}

// fillPage looks what a rule would write for entities, runs those for which it is what was planned,
// and waits until these have ended. fault is why the portal does not take them, nil if it does.
func (p *planApplied) fillPage(ctx context.Context, portal string, t service.Target, page []report.EntityChange, sum *filled) (fault, err error) {
	entities := make([]engine.Entity, len(page))
	for i, e := range page {
		if entities[i], err = engine.ParseEntity(e.Entity); err != nil {
			return nil, fmt.Errorf("the plan is damaged: %w", err)
		}
	}
	now, faults := make([]report.Plan, len(page)), make([]error, len(page))
	err = t.ForEach(entities, func(i int, one service.Target) (err error) {
		now[i], faults[i], err = p.s.PlanNow(ctx, portal, one, one.Entity)
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
			sum.failed++
			p.leave("portal %s: rule %s for %s would fail, so it is not run: %s", portal, e.Rule, e.Entity, now[i].Error)
		case !slices.ContainsFunc(now[i].Changes, func(c dryrun.Change) bool { return !c.Same() }):
			sum.done++
		case now[i].Digest() != e.Digest:
			sum.moved++
			p.leave("portal %s: %s has moved on since the plan, so rule %s is not run for it", portal, e.Entity, e.Rule)
		default:
			routes = append(routes, queue.Route{Rule: e.Rule, Entity: entities[i].String()})
		}
	}
	if len(routes) == 0 {
		return nil, nil
	}
	q := p.s.Queue()
	r, err := q.Backfill(ctx, queue.Page{Portal: portal, Code: catchup.CodeApply, Routes: routes})
	if err != nil {
		return nil, err
	}
	sum.ran += len(routes)
	if r.Event != 0 { // otherwise all of them have joined runs that wait
		if fault, err = p.waitEnded(ctx, portal, r.Event, len(routes)); fault != nil || err != nil {
			return fault, err
		}
	}
	return nil, p.count(ctx, portal, r.Event, sum)
}

// waitEnded waits until the runs of a page have ended. fault is why they do not.
func (p *planApplied) waitEnded(ctx context.Context, portal string, event int64, n int) (fault, err error) {
	q, ended := p.s.Queue(), time.Now() // of the last run
	for {
		open, err := q.Runs(ctx, queue.Filter{Portal: portal, Event: event, States: []queue.State{queue.Waiting, queue.Running}, Limit: planAtOnce})
		if err != nil {
			return nil, err
		}
		// A run that has failed is tried again for up to a day, and nothing waits for that.
		open = slices.DeleteFunc(open, func(i queue.Info) bool { return i.State == queue.Waiting && i.Attempt > 0 })
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
func (p *planApplied) count(ctx context.Context, portal string, event int64, sum *filled) error {
	if event == 0 {
		return nil
	}
	failed, err := p.s.Queue().Runs(ctx, queue.Filter{Portal: portal, Event: event, States: []queue.State{queue.Waiting, queue.Parked}, Limit: planAtOnce})
	if err != nil {
		return err
	}
	for _, r := range failed {
		sum.ran--
		sum.failed++
		p.leave("portal %s: run %d of rule %s for %s has failed: %s", portal, r.ID, r.Rule, r.Entity, r.Error)
	}
	return nil
}
