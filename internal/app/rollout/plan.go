package rollout

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// defaultSince is the time of changes that a plan of new versions takes.
const defaultSince = "7d"

// Scope says what of new versions is compared with those that ran last.
type Scope struct {
	// Rule is the id of the one rule that is compared, "" means all.
	Rule string
	// Entity is the one entity that is compared. Without an ID it is those that have changed since Since,
	// as the flag --since has it, by the portal's clock. "" means the last 7 days. All means all entities.
	Entity engine.Entity
	Since  string
	All    bool
	// Stored compares on the data that the history has of runs.
	Stored bool
}

// Planner says what new versions of rule sets would change in portals. It writes nothing to a portal, and
// reads the portals of a service.
type Planner struct {
	Scope
	// Seen is called after each page of entities.
	Seen func(j *catchup.Job)

	service    *service.Service
	config     *config.Config
	next, last *fleet.Generation // the new versions, and what ran last
	// problems are the versions that ran last and do not fit the configuration.
	problems map[[2]string]diag.List
	live     live
	holds    []queue.Hold
}

// NewPlanner returns a planner for the new versions of a generation. It reads from the database of the
// service what ran last.
func NewPlanner(ctx context.Context, s *service.Service, c *config.Config, next *fleet.Generation, actions []*engine.Action, scope Scope) (*Planner, error) {
	p := &Planner{Scope: scope, Seen: func(*catchup.Job) {}, service: s, config: c, next: next}
	before, err := fleet.NewStore(s.Queue().Database()).Before(ctx)
	if err != nil {
		return nil, err
	}
	p.last, p.problems = fleet.Last(before, c.Portals, actions)
	if p.live, err = readLive(ctx, s.Queue()); err != nil {
		return nil, err
	}
	p.holds, err = s.Queue().HoldList(ctx)
	return p, err
}

// Portal plans what changes in one portal. What prevents that in the portal is part of the plan.
func (p *Planner) Portal(ctx context.Context, name string) (report.PortalChange, error) {
	out := report.PortalChange{Portal: name, Sets: []report.SetChange{}, Entities: []report.EntityChange{}}
	if b := p.config.BrokenPortal(name); b != nil {
		out.NotSeen = b.Reason()
		return out, nil
	}
	for _, r := range p.next.Refused() {
		if r.Portal == name && !r.Removed() {
			out.Refused = append(out.Refused, r.Reason())
		}
	}
	for _, r := range p.next.Refused() {
		if r.Portal == name && r.Removed() {
			out.NotCompared = append(out.NotCompared, "rule set "+r.Set+" is removed: nothing runs, and what it has made stays")
		}
	}
	for _, m := range p.next.Orphans(name) {
		if m.Orphan.IsZero() {
			out.NotCompared = append(out.NotCompared, fmt.Sprintf("what rule %s has made in %s would have no rule any more", m.Rule, fleet.PlaceName(m.Place)))
		}
	}
	all := p.newVersions(name, &out)
	if len(all) == 0 {
		return out, nil
	}
	if out.NotSeen = heldPortal(p.holds, name); out.NotSeen != "" {
		return out, nil
	}
	began, requests := time.Now(), p.service.Portal(name).Client.Stats().Requests
	for _, v := range all {
		if err := p.rule(ctx, v, &out); err != nil {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			out.NotSeen = p.config.Redactor.Text(err.Error())
			break
		}
	}
	out.Seconds, out.Requests = time.Since(began).Seconds(), p.service.Portal(name).Client.Stats().Requests-requests
	return out, nil
}

// newVersions finds the rules of a portal whose rule sets have other versions than those that ran
// last, and notes these.
func (p *Planner) newVersions(portal string, out *report.PortalChange) []versions {
	var all []versions
	for _, i := range p.next.Instances(portal) {
		before := p.live.version(portal, i.Set.Name)
		if before == i.Set.Version {
			continue
		}
		set := report.SetChange{Set: i.Set.Name, Before: before, After: i.Set.Version}
		if list := p.problems[[2]string{portal, i.Set.Name}]; len(list) > 0 {
			out.NotCompared = append(out.NotCompared, fmt.Sprintf("version %s of %s does not run with the configuration of today, so all that the new one writes is shown: %s", before, i.Set.Name, list.Err()))
		}
		costs := costsOf(i.Set)
		for _, r := range i.Set.Rules {
			if !r.Serves(portal) {
				continue
			}
			v := versions{portal: portal, now: service.Target{Rule: r, Inputs: i.Inputs}, was: p.whatWas(portal, r)}
			if was := v.was.Rule; was != nil {
				if old, now := costsOf(was.Set)[was.ID], costs[r.ID]; old != now {
					set.Costs = append(set.Costs, fmt.Sprintf("an event of rule %s costs %s commands instead of %s", r.ID, now, old))
				}
			}
			if p.Rule == "" || p.Rule == r.ID {
				all = append(all, v)
			}
		}
		out.Sets = append(out.Sets, set)
	}
	return all
}

// costsOf are the usual costs of the rules of a set, by their ids.
func costsOf(set *engine.RuleSet) map[string]string {
	out := map[string]string{}
	for _, r := range describe.Set(set).Rules {
		out[r.ID] = r.Cost.Typical.String()
	}
	return out
}

// rule compares the versions of one rule.
func (p *Planner) rule(ctx context.Context, v versions, out *report.PortalChange) error {
	switch {
	case p.Stored:
		return p.storedRuns(ctx, v, out)
	case p.Entity.ID != "":
		if _, err := service.TargetsOf(p.next, v.portal, v.now.Rule.ID, p.Entity, false); err != nil {
			out.NotCompared = append(out.NotCompared, err.Error())
			return nil
		}
		return p.entities(ctx, v, []engine.Entity{p.Entity}, out)
	}
	if err := service.CanList(v.now.Rule); err != nil {
		out.NotCompared = append(out.NotCompared, err.Error())
		return nil
	}
	job, err := p.service.SyncJob(ctx, v.portal, v.now, p.since())
	if err != nil {
		return err
	}
	job.Leftovers = nil // only entities that exist are compared
	return job.EachPage(ctx, p.service.Portal(v.portal).Later(), p.Seen, func(typ int, ids []int) error {
		all := make([]engine.Entity, len(ids))
		for i, id := range ids {
			all[i] = engine.Entity{Kind: service.KindOfType(typ), TypeID: typ, ID: fmt.Sprint(id)}
		}
		return p.entities(ctx, v, all, out)
	})
}

// since is the time whose changes are compared, "" means all.
func (p *Planner) since() string {
	if p.All {
		return ""
	}
	return cmp.Or(p.Since, defaultSince)
}

// entities compares the versions of a rule for entities.
func (p *Planner) entities(ctx context.Context, v versions, all []engine.Entity, out *report.PortalChange) error {
	type pair struct{ before, after report.Plan }
	found := make([]pair, len(all))
	err := v.now.ForEach(all, func(i int, t service.Target) (err error) {
		found[i].before, found[i].after, err = p.compare(ctx, v, t.Entity)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range found {
		out.Add(f.before, f.after)
	}
	return nil
}

// storedLimit is how many runs of a rule --stored takes.
const storedLimit = 1000

// storedRuns compares the versions with what the history has: for the latest run of each entity
// that has written something.
func (p *Planner) storedRuns(ctx context.Context, v versions, out *report.PortalChange) error {
	if v.was.Rule == nil {
		out.NotCompared = append(out.NotCompared, "rule "+v.now.Rule.ID+" is new, so the history has no run of it")
		return nil
	}
	from, _, err := report.ParseTime("--since", p.since(), service.InZone(time.Now(), p.service.Portal(v.portal).Zone), false)
	if err != nil {
		return err
	}
	filter := journal.Filter{Portal: v.portal, Rule: v.was.Rule.ID, States: []journal.State{journal.Succeeded}, From: from, Limit: storedLimit}
	if p.Entity.ID != "" {
		filter.Entity = p.Entity.String()
	}
	runs, err := journal.FindRuns(ctx, p.service.Queue().Database(), filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, r := range runs {
		if seen[r.Entity] || r.Deleted {
			continue
		}
		one, err := report.ReadRun(ctx, p.service.Queue(), r.ID)
		if err != nil {
			return err
		}
		attempt := one.Recorded(0)
		if attempt == nil || attempt.Trace.Brief || attempt.Trace.Cut {
			continue
		}
		seen[r.Entity] = true
		e, err := engine.ParseEntity(r.Entity)
		if err != nil {
			return err
		}
		before, after, missing, err := p.compareRecorded(ctx, v, e, attempt.Trace)
		switch {
		case err != nil:
			return err
		case missing != "":
			out.Compared++
			out.Unknown++
		default:
			drifted := out.Drifted
			out.Add(before, after)
			out.Drifted = drifted // what that run has written is no drift
		}
	}
	if n := len(runs) - len(seen); n > 0 {
		out.NotCompared = append(out.NotCompared, fmt.Sprintf("%s of rule %s: the history of a run that wrote nothing has no data, and of an entity only the latest run counts", report.Plural(n, "run", "runs"), v.was.Rule.ID))
	}
	return nil
}
