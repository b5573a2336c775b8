package cli

import (
	"context"
	"flag"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
)

var planCmd = &command{
	name:  "plan",
	args:  "[--config FILE] [--rule ID] [--portal NAME] --entity ENTITY|--since TIME|--all [--deleted] [--follow] [--stored] [--save FILE] [--format text|json] [RULEFILE...]",
	short: "show what rules would change for an entity, write nothing",
	long: `Plan reads an entity and its related data from a real portal, as a run would, and
shows the changes: + for what would be added, ~ for what would change, with each
field before and after, - for what would be deleted, ! for calls with unknown
effect. Plan writes nothing.

Without RULEFILE plan uses the rules of the configuration. With RULEFILE it uses
the rules of these files, with the inputs that the configuration has for them. So
you can try a new rule on real data.

A rule with start shows which runs would follow. With --follow plan also shows what
these runs would change, and the runs that they start, at most 50. All of them read
the current portal: they do not see the changes of the runs before them.

A later step sees the items that an earlier step would add or change if it reads
them by id, but not if it reads a list. The answer of a writing call is unknown, so later
steps see nothing. Plan reads from the database whether a step with once has run
already.

With --since, --all, --stored or --save plan compares versions of rules: those on
disk, or RULEFILE instead of the rule sets of the same names, with those that ran
last in each portal. Both read the same data of an entity, so plan shows what the
change of the rules changes, and counts what differed before. It also shows what a
portal would refuse, such as a rule that would make its records again. --since takes
entities that changed since TIME, 7d without it, and --all takes all. --stored
compares on the data that the history has of runs, and reads no entities. --save
writes the plan to a file for b24rules apply.

Exit codes: 0 success, with or without changes, 1 a run would fail, a rule file has
findings or a portal refuses a version, 2 usage error, 3 plan could not run, or did
not see everything.`,
	setup: func(fs *flag.FlagSet) runFunc {
		p := &planning{}
		p.flags(fs)
		fs.BoolVar(&p.followed, "follow", false, "also plan the runs that the rules start")
		fs.StringVar(&p.since, "since", "", "compare versions of rules for entities that changed since `TIME`: 2h, 3d, 2026-01-31 or 2026-01-31T15:00:00+03:00")
		fs.BoolVar(&p.all, "all", false, "compare versions of rules for all entities")
		fs.BoolVar(&p.stored, "stored", false, "compare versions of rules on the data that the history has")
		fs.StringVar(&p.save, "save", "", "write the plan of new versions to `FILE`, for b24rules apply")
		fs.StringVar(&p.format, "format", "text", "print as `FORMAT`: text or json")
		return p.run
	},
}

type planning struct {
	single
	format   string
	followed bool // the runs that the rules start are planned too

	// The other flags compare versions of rules: see ofChange.
	since, save string
	all, stored bool
}

func (p *planning) run(ctx context.Context, env environment, args []string) error {
	if err := oneOf("format", p.format, "text", "json"); err != nil {
		return err
	}
	p.files, p.dry = args, true
	ctx, stop := interruptible(ctx)
	defer stop()
	switch is, err := p.ofChange(); {
	case err != nil:
		return err
	case is:
		return p.change(ctx, env)
	}
	c, err := loadConfig(env, p.config)
	if err != nil {
		return err
	}
	return eachPortal(env, c, p.portal, true, func(name string) error {
		one := *p
		one.portal = name
		return one.portalRun(ctx, env)
	})
}

// portalRun is run for one portal.
func (p *planning) portalRun(ctx context.Context, env environment) error {
	a, targets, done, err := p.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	plans := make([]report.Plan, 0, len(targets))
	for _, t := range targets {
		one, err := p.plan(ctx, a, t)
		if err != nil {
			return err
		}
		plans = append(plans, one)
	}
	if p.followed {
		if plans, err = p.follow(ctx, a, plans); err != nil {
			return err
		}
	}
	if err := report.WritePlans(env.Out, p.format, plans); err != nil {
		return err
	}
	if slices.ContainsFunc(plans, func(one report.Plan) bool { return one.Error != "" }) {
		return errFindings
	}
	return nil
}

// follow adds the plans of the runs that plans would start.
func (p *planning) follow(ctx context.Context, a *service.Service, plans []report.Plan) ([]report.Plan, error) {
	started := *p
	started.deleted = false // a start is no delete event
	return report.Follow(plans, func(s engine.Start) (report.Plan, error) {
		rule, inputs, ok := a.Generation().Rule(s.Rule, p.portal)
		if !ok {
			return report.Plan{
				Rule: s.Rule, Portal: p.portal, Entity: s.Entity.String(), Changes: []dryrun.Change{},
				Error: "the portal has no rule " + s.Rule + " now: the run waits until it has one",
			}, nil
		}
		return started.plan(ctx, a, service.StartOf(rule, inputs, s.Entity))
	})
}

func (p *planning) plan(ctx context.Context, a *service.Service, t service.Target) (report.Plan, error) {
	return a.Plan(ctx, service.DryRun{Target: t, Portal: a.Portal(p.portal), Deleted: p.deleted})
}
