package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/shadow"
)

var statusCmd = &command{
	name:  "status",
	args:  "[--config FILE] [--portal NAME] [--all] [--rules] [--format text|json]",
	short: "show what waits and why",
	long: `Status shows the portals that need attention: a portal that does not answer, refuses
the credentials or has blocked REST, a rule that the portal refuses for every entity,
a portal or a rule set with errors, what is paused, times that are not caught up, and
parked runs. It also shows unfinished syncs and catch-ups. --all also shows the other
portals. A portal in shadow mode is always shown.

A portal's fault costs no attempts. Its events are still stored, its runs wait, and
serve asks the portal from time to time. When the portal answers, the runs start.
'b24rules runs resume --portal NAME' makes serve ask at once.

--rules shows the rule sets instead: which version runs since when, and of those that
do not run as on disk the findings, and the lines in which disk and live differ.

Exit codes: 0 no portal needs attention, 1 some do, 2 usage error, 3 status could
not read the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "only the portal")
		all := fs.Bool("all", false, "show all portals")
		rules := fs.Bool("rules", false, "show the rule sets, live against disk")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				if err := checkPortal(c, *portal); err != nil {
					return err
				}
				if *rules {
					return statusOfRules(ctx, env, c, q, *portal, *format)
				}
				s, err := report.ReadStatus(ctx, q, portalNames(c, *portal), *portal == "")
				if err != nil {
					return err
				}
				for _, b := range c.Broken {
					s.Outdated(b.Name, b.Reason())
				}
				s.OnlyAlertsTo(c.Alerts)
				if err := addShadows(ctx, c, q, &s); err != nil {
					return err
				}
				if *format == "json" {
					err = report.WriteJSON(env.Out, s)
				} else {
					err = s.Write(env.Out, *all || *portal != "")
				}
				if err == nil && s.NeedsLook() {
					err = errFindings
				}
				return err
			})
		}
	},
}

// statusOfRules prints the rule sets of a portal, "" means all portals.
func statusOfRules(ctx context.Context, env environment, c *config.Config, q *queue.Queue, portal, format string) error {
	rules, err := newRules(env, c)
	if err != nil {
		return err
	}
	stored := fleet.NewStore(q.Database())
	if rules.Before, err = stored.Before(ctx); err != nil {
		return err
	}
	rules.Ledger = ledger.New(q.Database())
	if c.Manual {
		rules.Applied = stored.Applied
	}
	_, gen, err := rules.Load()
	if err != nil {
		return err
	}
	sets, err := report.ReadSets(ctx, q.Database(), gen, func(name string) bool { return portal == "" || name == portal }, c.Redactor.Text)
	if err != nil {
		return err
	}
	if err := report.WriteSets(env.Out, format, sets); err != nil {
		return err
	}
	if sets.Attention() > 0 {
		return errFindings
	}
	return nil
}

// addShadows adds what the portals in shadow mode have shown.
func addShadows(ctx context.Context, c *config.Config, q *queue.Queue, s *report.Status) error {
	for i := range s.Portals {
		p := &s.Portals[i]
		if !slices.ContainsFunc(c.Portals, func(one config.Portal) bool { return one.Name == p.Portal && one.Shadow != 0 }) {
			continue
		}
		results, err := shadow.Read(ctx, q.Database(), p.Portal, 0)
		if err != nil {
			return err
		}
		p.Shadow = report.ShadowSummary(results)
	}
	return nil
}

// probeNow asks serve to look whether the faults of a portal and a rule are over, and
// says when serve does so. It returns how many faults there are.
func probeNow(ctx context.Context, env environment, q *queue.Queue, portal, rule string) (faults int, err error) {
	faults, err = q.ProbeNow(ctx, portal, rule)
	if err != nil || faults == 0 {
		return faults, err
	}
	served, err := q.Served(ctx)
	if err != nil {
		return faults, err
	}
	what := "the faults of portals are over"
	if portal != "" || rule != "" {
		what = fmt.Sprintf("the fault of %s is over", report.Paused(portal, rule))
	}
	if served {
		env.say("serve looks now whether %s", what)
	} else {
		env.say("serve is not running: when it starts, it looks whether %s", what)
	}
	return faults, nil
}
