package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/queue"
)

// defaultSince is the time of changes that a plan of new versions takes.
const defaultSince = "7d"

// changePlanning makes a plan of new versions of rule sets: see planning.
type changePlanning struct {
	*planning
	env    environment
	config *config.Config
	s      *service.Service
	gen    *fleet.Generation // the new versions
	last   *fleet.Generation // what ran last
	// problems are the versions that ran last and do not fit the configuration.
	problems map[[2]string]diag.List
	live     map[[2]string]fleet.Live
	holds    []queue.Hold
}

// ofChange reports whether the flags ask for a plan of new versions, and refuses those that do not
// fit.
func (p *planning) ofChange() (bool, error) {
	is := p.since != "" || p.all || p.stored || p.save != ""
	switch {
	case p.entity != "" && (p.since != "" || p.all):
		return is, usagef("--entity names one entity, so --since and --all do not fit")
	case p.since != "" && p.all:
		return is, usagef("--all takes all entities, so --since does not fit")
	case p.stored && p.all:
		return is, usagef("--stored takes the runs of the history, so --all does not fit")
	case is && (p.followed || p.deleted):
		return is, usagef("--follow and --deleted are for the plan of one entity without --since, --all, --stored and --save")
	case p.since != "":
		at, err := parseSince(p.since, time.Now())
		if err == nil && at.After(time.Now().AddDate(0, 0, 1)) { // the zone of a portal may be another one
			return is, usagef("--since %s is in the future", p.since)
		}
		return is, err
	}
	return is, nil
}

// change makes, prints and saves the plan of new versions.
func (p *planning) change(ctx context.Context, env environment) error {
	c, err := loadConfig(env, p.config)
	if err != nil {
		return err
	}
	names, err := selectPortals(c, p.portal)
	if err != nil {
		return err
	}
	if err := haveDatabase(c); err != nil { // it has what ran last
		return err
	}
	p.redactor = c.Redactor
	x := &changePlanning{planning: p, env: env, config: c}
	done, err := x.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	out := report.ChangePlan{Format: report.PlanFormat, Made: time.Now().UTC().Truncate(time.Second), By: person()}
	for _, name := range names {
		one, err := x.portal(ctx, name)
		if err != nil {
			return err
		}
		out.Portals = append(out.Portals, one)
	}
	return x.end(out)
}

// open loads the new versions as serve would, and those that ran last.
func (x *changePlanning) open(ctx context.Context) (done func(), err error) {
	c := *x.config
	c.Manual = false // whether they are applied does not matter
	rules, err := newRules(x.env, &c)
	if err != nil {
		return nil, err
	}
	if len(x.files) > 0 {
		if _, err := fleet.FindRuleFiles(x.files); err != nil {
			return nil, config.Plain(err)
		}
		rules.Source = fleet.Over(rules.Source, fleet.FilesOf(x.files))
	}
	if x.s, done, err = openService(ctx, &c, rules, true, warnings(x.env)); err != nil {
		return nil, err
	}
	x.gen = x.s.Generation()
	before, err := fleet.NewStore(x.s.Queue().Database()).Before(ctx)
	if err == nil {
		x.last, x.problems = fleet.Last(before, c.Portals, x.env.actions)
		x.live, err = liveVersions(ctx, x.s.Queue())
	}
	if err == nil {
		x.holds, err = x.s.Queue().HoldList(ctx)
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// portal plans what changes in one portal.
func (x *changePlanning) portal(ctx context.Context, name string) (report.PortalChange, error) {
	out := report.PortalChange{Portal: name, Sets: []report.SetChange{}, Entities: []report.EntityChange{}}
	if b := brokenPortal(x.config, name); b != nil {
		out.NotSeen = b.Reason()
		return out, nil
	}
	for _, r := range x.gen.Refused() {
		if r.Portal == name && !r.Removed() {
			out.Refused = append(out.Refused, r.Reason())
		}
	}
	for _, r := range x.gen.Refused() {
		if r.Portal == name && r.Removed() {
			out.NotCompared = append(out.NotCompared, "rule set "+r.Set+" is removed: nothing runs, and what it has made stays")
		}
	}
	orphans, _ := x.gen.Orphans(name)
	for _, m := range orphans {
		if m.Orphan.IsZero() {
			out.NotCompared = append(out.NotCompared, fmt.Sprintf("what rule %s has made in %s would have no rule any more", m.Rule, fleet.PlaceName(m.Place)))
		}
	}
	targets := x.newVersions(name, &out)
	if len(targets) == 0 {
		return out, nil
	}
	if why := x.held(name); why != "" {
		out.NotSeen = why
		return out, nil
	}
	began, requests := time.Now(), x.s.Portal(name).Client.Stats().Requests
	for _, v := range targets {
		if err := x.rule(ctx, v, &out); err != nil {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			out.NotSeen = x.redactor.Text(err.Error())
			break
		}
	}
	out.Seconds, out.Requests = time.Since(began).Seconds(), x.s.Portal(name).Client.Stats().Requests-requests
	return out, nil
}

// held says that the portal does not answer at present, "" if it does.
func (x *changePlanning) held(portal string) string { return heldPortal(x.holds, portal) }

func heldPortal(all []queue.Hold, portal string) string {
	for _, h := range all {
		if h.Portal == portal && h.Rule == "" {
			return fmt.Sprintf("the portal is %s: %s", h.Cause, h.Reason)
		}
	}
	return ""
}

// newVersions finds the rules of a portal whose rule sets have other versions than those that ran
// last, and notes these.
func (x *changePlanning) newVersions(portal string, out *report.PortalChange) []service.NewVersion {
	var all []service.NewVersion
	for _, i := range x.gen.Instances(portal) {
		before := x.live[[2]string{portal, i.Set.Name}].Version
		if before == i.Set.Version {
			continue
		}
		set := report.SetChange{Set: i.Set.Name, Before: before, After: i.Set.Version}
		if list := x.problems[[2]string{portal, i.Set.Name}]; len(list) > 0 {
			out.NotCompared = append(out.NotCompared, fmt.Sprintf("version %s of %s does not run with the configuration of today, so all that the new one writes is shown: %s", before, i.Set.Name, list.Err()))
		}
		costs := costsOf(i.Set)
		for _, r := range i.Set.Rules {
			if !r.Serves(portal) {
				continue
			}
			v := service.NewVersion{Portal: portal, Now: service.Target{Rule: r, Inputs: i.Inputs}, Was: service.WhatWas(x.last, portal, r), Last: x.last}
			if was := v.Was.Rule; was != nil {
				if old, now := costsOf(was.Set)[was.ID], costs[r.ID]; old != now {
					set.Costs = append(set.Costs, fmt.Sprintf("an event of rule %s costs %s commands instead of %s", r.ID, now, old))
				}
			}
			if x.planning.rule == "" || x.planning.rule == r.ID {
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
func (x *changePlanning) rule(ctx context.Context, v service.NewVersion, out *report.PortalChange) error {
	switch {
	case x.stored:
		return x.storedRuns(ctx, v, out)
	case x.entity != "":
		e, err := report.ParseEntity("--entity", x.entity)
		if err != nil {
			return usageOf(err)
		}
		if _, err := service.TargetsOf(x.gen, v.Portal, v.Now.Rule.ID, e, false); err != nil {
			out.NotCompared = append(out.NotCompared, err.Error())
			return nil
		}
		return x.entities(ctx, v, []engine.Entity{e}, out)
	}
	s := &syncing{single: single{portal: v.Portal, rule: v.Now.Rule.ID, dry: true}, since: x.since}
	if !x.all && x.since == "" {
		s.since = defaultSince
	}
	if err := s.fit(v.Now.Rule); err != nil {
		out.NotCompared = append(out.NotCompared, err.Error())
		return nil
	}
	job, err := s.job(ctx, x.s, v.Now)
	if err != nil {
		return err
	}
	job.Leftovers = nil // only entities that exist are compared
	return s.eachPage(ctx, x.env, x.s, &job, func(typ int, ids []int) error {
		all := make([]engine.Entity, len(ids))
		for i, id := range ids {
			all[i] = engine.Entity{Kind: service.KindOfType(typ), TypeID: typ, ID: fmt.Sprint(id)}
		}
		return x.entities(ctx, v, all, out)
	})
}

// entities compares the versions of a rule for entities.
func (x *changePlanning) entities(ctx context.Context, v service.NewVersion, all []engine.Entity, out *report.PortalChange) error {
	type pair struct{ before, after report.Plan }
	found := make([]pair, len(all))
	err := v.Now.ForEach(all, func(i int, t service.Target) (err error) {
		found[i].before, found[i].after, err = x.s.Compare(ctx, v, t.Entity)
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
func (x *changePlanning) storedRuns(ctx context.Context, v service.NewVersion, out *report.PortalChange) error {
	if v.Was.Rule == nil {
		out.NotCompared = append(out.NotCompared, "rule "+v.Now.Rule.ID+" is new, so the history has no run of it")
		return nil
	}
	since := x.since
	if since == "" {
		since = defaultSince
	}
	from, err := parseSince(since, inZone(time.Now(), x.s.Portal(v.Portal).Zone))
	if err != nil {
		return err
	}
	filter := queue.Filter{Portal: v.Portal, Rule: v.Was.Rule.ID, States: []queue.State{queue.Succeeded}, From: from, Limit: storedLimit}
	if x.entity != "" {
		e, err := report.ParseEntity("--entity", x.entity)
		if err != nil {
			return usageOf(err)
		}
		filter.Entity = e.String()
	}
	runs, err := x.s.Queue().Runs(ctx, filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, r := range runs {
		if seen[r.Entity] || r.Deleted {
			continue
		}
		one, err := report.ReadRun(ctx, x.s.Queue(), r.ID)
		if err != nil {
			return err
		}
		attempt, err := (&exporting{}).choose(one)
		if err != nil || attempt.Trace.Brief || attempt.Trace.Cut {
			continue
		}
		seen[r.Entity] = true
		e, err := engine.ParseEntity(r.Entity)
		if err != nil {
			return err
		}
		before, after, missing, err := x.s.CompareRecorded(ctx, v, e, attempt.Trace)
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
		out.NotCompared = append(out.NotCompared, fmt.Sprintf("%s of rule %s: the history of a run that wrote nothing has no data, and of an entity only the latest run counts", report.Plural(n, "run", "runs"), v.Was.Rule.ID))
	}
	return nil
}

// end prints and saves the plan.
func (x *changePlanning) end(out report.ChangePlan) error {
	if x.planning.rule != "" && !slices.ContainsFunc(out.Portals, func(p report.PortalChange) bool { return len(p.Sets) > 0 }) {
		if err := x.gen.CheckRule(x.planning.rule, ""); err != nil {
			return usageOf(err)
		}
	}
	if x.save != "" {
		text, err := json.MarshalIndent(out, "", "  ")
		if err == nil {
			err = writeFileWhole(x.save, append(text, '\n'))
		}
		if err != nil {
			return fmt.Errorf("the plan is not saved: %w", config.Plain(err))
		}
	}
	err := error(nil)
	if x.format == "json" {
		err = report.WriteJSON(x.env.Out, out)
	} else {
		err = out.Write(x.env.Out)
	}
	if err != nil {
		return err
	}
	if x.save != "" {
		x.env.say("saved %s; it has data of customers. To apply it: b24rules apply %[1]s", x.save)
	}
	var unseen []string
	wrong := false
	for _, p := range out.Portals {
		if p.NotSeen != "" {
			unseen = append(unseen, p.Portal)
		}
		wrong = wrong || p.Fails() > 0 || len(p.Refused) > 0
	}
	switch {
	case len(unseen) > 0:
		return fmt.Errorf("not everything was compared: portal %s", strings.Join(unseen, ", "))
	case wrong:
		return errFindings
	}
	return nil
}

// writeFileWhole writes a file that only its user can read. It is there whole or not at all.
func writeFileWhole(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // with the rights 0600
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(data).WriteTo(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
