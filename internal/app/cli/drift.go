package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
)

var driftCmd = &command{
	name:  "drift",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--confirm TIME] [--format text|json]",
	short: "show where portals differ from what the rules would write",
	long: `Drift runs the rules for all their entities, writes nothing, and shows what they
would add, change or delete. A difference means that a person, another program or
a lost event has changed what a rule keeps up to date. Sync repairs it.

Drift reads an entity that differs once more after the time of --confirm, because a
person may just be editing it. Steps that only take effect elsewhere, such as
notify and call, are not compared. Drift asks no other system, so it cannot compare
what a rule computes from the answer of one.

Drift uses the part of the portal's rate limit that live events leave.

Exit codes: 0 nothing differs, 1 something differs, 2 usage error, 3 drift could not
compare everything, or could not run. It is never 0 for what drift has not seen.`,
	setup: func(fs *flag.FlagSet) runFunc {
		d := &drifting{}
		configVar(fs, &d.config)
		portalsVar(fs, &d.portal, "only the portal")
		fs.StringVar(&d.rule, "rule", "", "only the rule `ID`")
		fs.DurationVar(&d.confirm, "confirm", time.Minute, "compare what differs again after `TIME`; 0 means once only")
		fs.StringVar(&d.format, "format", "text", "print as `FORMAT`: text or json")
		return d.run
	},
}

// drifting are the flags of drift.
type drifting struct {
	config, portal, rule, format string
	confirm                      time.Duration
}

func (d *drifting) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := oneOf("format", d.format, "text", "json"); err != nil {
		return err
	}
	if d.confirm < 0 {
		return usagef("--confirm %s is negative", d.confirm)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, d.config)
	if err != nil {
		return err
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	if err := checkPortal(c, d.portal); err != nil {
		return err
	}
	a, done, err := openService(ctx, c, rules, true, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	if err := checkMade(ctx, env, a, true, false); err != nil {
		return err
	}
	found, err := d.compare(ctx, env, c, a, gen)
	if err != nil {
		return err
	}
	if d.format == "json" {
		err = report.WriteJSON(env.Out, found)
	} else {
		err = found.Write(env.Out)
	}
	switch {
	case err != nil:
		return err
	case len(gen.Findings()) > 0:
		_ = printFindings(env, gen.Findings()) // the error below says more
		return errors.New("not everything was compared: rule sets have findings")
	case !found.Complete():
		return errors.New("not everything was compared")
	case found.Differs():
		return errFindings
	}
	return nil
}

// compare compares all rules, or the named one, in all portals, or the named one.
func (d *drifting) compare(ctx context.Context, env environment, c *config.Config, a *service.Service, gen *fleet.Generation) (report.Drift, error) {
	out := report.Drift{Rules: []report.RuleDrift{}}
	for _, portal := range portalNames(c, d.portal) {
		if b := brokenPortal(c, portal); b != nil {
			out.Rules = append(out.Rules, report.RuleDrift{Portal: portal, NotSeen: b.Reason(), Plans: []report.Plan{}})
			continue
		}
		for rule, inputs := range gen.Rules(portal) {
			if d.rule != "" && rule.ID != d.rule {
				continue
			}
			t := service.Target{Rule: rule, Inputs: inputs}
			r := report.RuleDrift{Portal: portal, Rule: t.Rule.ID, Plans: []report.Plan{}}
			s := &syncing{single: single{portal: portal, rule: t.Rule.ID, dry: true, redactor: c.Redactor}, format: d.format, alone: true}
			if err := s.fit(t.Rule); err != nil {
				r.NotCompared = err.Error()
			} else if err := d.compareRule(ctx, env, s, a, t, &r); err != nil {
				if ctx.Err() != nil {
					return out, ctx.Err()
				}
				r.NotSeen = c.Redactor.Text(err.Error())
			}
			out.Rules = append(out.Rules, r)
		}
	}
	if d.rule != "" && len(out.Rules) == 0 {
		return out, usagef("no rule %q runs in %s", d.rule, strings.Join(portalNames(c, d.portal), ", "))
	}
	return out, nil
}

// compareRule goes through the entities of one rule, and once more through those that
// differ.
func (d *drifting) compareRule(ctx context.Context, env environment, s *syncing, a *service.Service, t service.Target, r *report.RuleDrift) error {
	job, err := s.job(ctx, a, t)
	if err != nil {
		return err
	}
	again := map[int][]int{} // ids by type
	var failed int
	err = s.eachPlan(ctx, env, a, t, &job, func(typ, id int, p report.Plan) error {
		r.Entities++
		if p.Error != "" {
			failed++
			r.NotSeen = fmt.Sprintf("%s would fail, the first of them %s: %s", report.Plural(failed, "run", "runs"), p.Entity, p.Error)
		} else if p.Changes = comparable(p.Changes); len(p.Changes) > 0 {
			again[typ] = append(again[typ], id)
			r.Plans = append(r.Plans, p)
		}
		return nil
	})
	r.Differing = len(r.Plans)
	if err != nil || d.confirm == 0 || len(again) == 0 {
		return err
	}
	env.say("%s in portal %s: %s, looking again in %s", r.Rule, r.Portal, report.Plural(len(r.Plans), "difference", "differences"), d.confirm)
	select {
	case <-time.After(d.confirm):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.Plans, r.Differing = []report.Plan{}, 0
	for typ, ids := range again {
		plans, err := s.dryRunPage(ctx, a, t, typ, ids)
		if err != nil {
			return err
		}
		for _, p := range plans {
			if p.Error != "" {
				return fmt.Errorf("%s: %s", p.Entity, p.Error)
			}
			if p.Changes = comparable(p.Changes); len(p.Changes) > 0 {
				r.Plans = append(r.Plans, p)
			}
		}
	}
	r.Differing = len(r.Plans)
	return nil
}

// comparable returns the changes of records. The effect of other calls cannot be
// compared with what there is.
func comparable(changes []dryrun.Change) []dryrun.Change {
	return slices.DeleteFunc(changes, func(c dryrun.Change) bool {
		return c.Kind == dryrun.ChangeCall || c.Kind == dryrun.ChangeOutside
	})
}
