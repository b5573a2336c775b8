package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/rollout"
)

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
	scope := rollout.Scope{Rule: p.rule, Since: p.since, All: p.all, Stored: p.stored}
	var err error
	if p.entity != "" {
		if scope.Entity, err = report.ParseEntity("--entity", p.entity); err != nil {
			return usageOf(err)
		}
	}
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
	next := *c
	next.Manual = false // whether they are applied does not matter
	rules, err := newRules(env, &next)
	if err != nil {
		return err
	}
	if len(p.files) > 0 {
		if _, err := fleet.FindRuleFiles(p.files); err != nil {
			return config.Plain(err)
		}
		rules.Source = fleet.Over(rules.Source, fleet.FilesOf(p.files))
	}
	s, done, err := openService(ctx, &next, rules, true, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	planner, err := rollout.NewPlanner(ctx, s, c, s.Generation(), env.actions, scope)
	if err != nil {
		return err
	}
	planner.Seen = env.pages()
	out := report.ChangePlan{Format: report.PlanFormat, Made: time.Now().UTC().Truncate(time.Second), By: person()}
	for _, name := range names {
		one, err := planner.Portal(ctx, name)
		if err != nil {
			return err
		}
		out.Portals = append(out.Portals, one)
	}
	if p.rule != "" && !slices.ContainsFunc(out.Portals, func(p report.PortalChange) bool { return len(p.Sets) > 0 }) {
		if err := s.Generation().CheckRule(p.rule, ""); err != nil {
			return usageOf(err)
		}
	}
	return p.end(env, out)
}

// end saves and prints the plan.
func (p *planning) end(env environment, out report.ChangePlan) error {
	if p.save != "" {
		if err := rollout.Save(p.save, out); err != nil {
			return err
		}
	}
	var err error
	if p.format == "json" {
		err = report.WriteJSON(env.Out, out)
	} else {
		err = out.Write(env.Out)
	}
	if err != nil {
		return err
	}
	if p.save != "" {
		env.say("saved %s; it has data of customers. To apply it: b24rules apply %[1]s", p.save)
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
