package cli

import (
	"context"
	"flag"
	"fmt"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsPauseCmd = &command{
	name:  "runs pause",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--reason TEXT] [--force]",
	short: "stop starting runs of a portal or a rule",
	long: `Pause stops the start of new runs of a portal, of a rule, or of a rule in one
portal. Events are still received and stored, and the waiting runs start after
resume. Runs that are in progress continue.

Pause refuses a portal or a rule that the configuration does not have. --force
pauses it anyway, for example a rule whose file does not exist yet.`,
	setup: func(fs *flag.FlagSet) runFunc {
		p := &pauseFlags{}
		path := p.flags(fs)
		reason := fs.String("reason", "", "the reason that other commands show: `TEXT`")
		force := fs.Bool("force", false, "pause a portal or a rule that the configuration does not have")
		return func(ctx context.Context, env environment, args []string) error {
			if err := p.check(args); err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				if !*force {
					if err := p.known(env, c); err != nil {
						return err
					}
				}
				text := c.Redactor.Text(*reason)
				portals, err := p.portals(c)
				if err != nil {
					return err
				}
				for _, portal := range portals {
					e := audit.Entry{Action: audit.Paused, Portal: portal, Target: report.Paused(portal, p.rule), Result: text}
					if err := q.Pause(ctx, portal, p.rule, text, noted(e)); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(env.Out, "paused %s\n", report.Paused(portal, p.rule)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	},
}

var runsResumeCmd = &command{
	name:  "runs resume",
	args:  "[--config FILE] [--portal NAME] [--rule ID]",
	short: "end a pause, or ask a portal at fault again",
	long: `Resume ends the pause with the same --portal and --rule. The waiting runs start at
once. If a fault of the portal keeps its runs waiting (see status), resume makes
serve ask the portal now instead of at the next probe.`,
	setup: func(fs *flag.FlagSet) runFunc {
		p := &pauseFlags{}
		path := p.flags(fs)
		return func(ctx context.Context, env environment, args []string) error {
			if err := p.check(args); err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				portals, err := p.portals(c)
				if err != nil {
					return err
				}
				found := false
				for _, portal := range portals {
					one, err := resume(ctx, env, q, portal, p.rule)
					if err != nil {
						return err
					}
					found = found || one
				}
				if found {
					return nil
				}
				if err := sayPauses(ctx, env, c, q); err != nil {
					return err
				}
				return fmt.Errorf("%s is not paused", report.Paused(p.portal, p.rule))
			})
		}
	},
}

// resume ends the pause of a portal and a rule, and makes serve ask a portal at fault. found is
// false if there is neither.
func resume(ctx context.Context, env environment, q *queue.Queue, portal, rule string) (found bool, err error) {
	was, err := q.Resume(ctx, portal, rule, noted(audit.Entry{Action: audit.Resumed, Portal: portal, Target: report.Paused(portal, rule)}))
	if err != nil {
		return false, err
	}
	faults, err := probeNow(ctx, env, q, portal, rule)
	if err != nil || !was {
		return faults > 0, err
	}
	_, err = fmt.Fprintf(env.Out, "resumed %s\n", report.Paused(portal, rule))
	return true, err
}

type pauseFlags struct{ portal, rule string }

func (p *pauseFlags) flags(fs *flag.FlagSet) (path *string) {
	portalsVar(fs, &p.portal, "the portal")
	fs.StringVar(&p.rule, "rule", "", "the rule `ID`; without --portal, in all portals")
	return configFlag(fs)
}

func (p *pauseFlags) check(args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if p.portal == "" && p.rule == "" {
		return usagef("want --portal, --rule or both")
	}
	return nil
}

// portals are those that the flags select, "" for all.
func (p *pauseFlags) portals(c *config.Config) ([]string, error) {
	if p.portal == selectAll {
		return portalNames(c, p.portal), nil
	}
	names, err := historyPortals(c, p.portal)
	if err != nil || len(names) > 0 {
		return names, err
	}
	return []string{""}, nil
}

// known refuses a portal or a rule that the configuration does not have.
func (p *pauseFlags) known(env environment, c *config.Config) error {
	if err := checkPortal(c, p.portal); err != nil || p.rule == "" {
		return err
	}
	_, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	portals, err := p.portals(c)
	if err != nil {
		return err
	}
	for _, portal := range portals {
		if err = usageOf(gen.CheckRule(p.rule, portal)); err != nil {
			break
		}
	}
	if err != nil && gen.Incomplete() {
		return usagef("%v; a rule file with errors may contain it: run 'b24rules validate', or add --force", err)
	}
	return err
}
