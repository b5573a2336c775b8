package cli

import (
	"context"
	"errors"
	"flag"
	"math"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/wakeup"
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
		if b := c.BrokenPortal(portal); b != nil {
			out.Rules = append(out.Rules, report.RuleDrift{Portal: portal, NotSeen: b.Reason(), Plans: []report.Plan{}})
			continue
		}
		ignore := ignoresOf(c, portal)
		before := len(out.Rules)
		for rule, inputs := range gen.Rules(portal) {
			if d.rule != "" && rule.ID != d.rule {
				continue
			}
			t := service.Target{Rule: rule, Inputs: inputs}
			r := report.RuleDrift{Portal: portal, Rule: t.Rule.ID, Plans: []report.Plan{}}
			s := &syncing{single: single{portal: portal, rule: t.Rule.ID, dry: true, redactor: c.Redactor}, format: d.format}
			if err := service.CanList(t.Rule); err != nil {
				r.NotCompared = err.Error()
			} else if err := d.compareRule(ctx, env, s, a, t, &r, ignore); err != nil {
				if ctx.Err() != nil {
					return out, ctx.Err()
				}
				r.NotSeen = c.Redactor.Text(err.Error())
			}
			out.Rules = append(out.Rules, r)
		}
		out.Unused = append(out.Unused, ignore.Unused(out.Rules[before:])...)
	}
	if d.rule != "" && len(out.Rules) == 0 {
		return out, usagef("no rule %q runs in %s", d.rule, strings.Join(portalNames(c, d.portal), ", "))
	}
	return out, nil
}

// ignoresOf are the differences of a portal that are not counted.
func ignoresOf(c *config.Config, portal string) *report.Ignores {
	return report.NewIgnores(*c.Portal(portal), time.Now())
}

// compareRule goes through the entities of one rule, and once more through those that
// differ.
func (d *drifting) compareRule(ctx context.Context, env environment, s *syncing, a *service.Service, t service.Target, r *report.RuleDrift, ignore *report.Ignores) error {
	job, err := s.job(ctx, a, t)
	if err != nil {
		return err
	}
	again := map[int][]int{} // ids by type
	err = job.EachPage(ctx, a.Portal(s.portal).Later(), env.pages(), func(typ int, ids []int) error {
		plans, err := a.Plans(ctx, s.portal, t, typ, ids, true)
		if err != nil {
			return err
		}
		for i, p := range plans {
			if r.Add(p, ignore, math.MaxInt) {
				again[typ] = append(again[typ], ids[i])
			}
		}
		return nil
	})
	if err != nil || d.confirm == 0 || len(again) == 0 {
		return err
	}
	env.say("%s in portal %s: %s, looking again in %s", r.Rule, r.Portal, report.Plural(r.Differing, "difference", "differences"), d.confirm)
	if err := wakeup.Sleep(ctx, d.confirm); err != nil {
		return err
	}
	seen := r.Entities
	r.Plans, r.Differing = []report.Plan{}, 0
	for typ, ids := range again {
		plans, err := a.Plans(ctx, s.portal, t, typ, ids, true)
		if err != nil {
			return err
		}
		for _, p := range plans {
			r.Add(p, ignore, math.MaxInt)
		}
	}
	r.Entities = seen
	return nil
}
