package cli

import (
	"context"
	"flag"
	"slices"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

var catchupCmd = &command{
	name:  "catchup",
	args:  "COMMAND [FLAGS]",
	short: "show and decide about times that are not caught up",
	long: `While serve receives no events, the portal's events are lost. Serve stores this time
as a window, and catches it up after the start. A window is deleted when that has
succeeded. What the portal refused stays as a window of the rule, and serve tries it
again every hour. A window that exceeds the limits of catch_up, or in which too many
entities are missing at once, stays until you decide.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{catchupListCmd, catchupRunCmd, catchupDropCmd},
}

// windowFlags select windows.
type windowFlags struct{ config, portal, rule, format string }

func (w *windowFlags) declare(fs *flag.FlagSet) {
	configVar(fs, &w.config)
	portalsVar(fs, &w.portal, "only the portal")
	fs.StringVar(&w.rule, "rule", "", "only windows of the rule `ID`")
}

// with calls do with the windows that the flags select.
func (w *windowFlags) with(ctx context.Context, env environment, args []string, do func(all *catchup.Windows, selected []catchup.Window) error) error {
	if err := none(args); err != nil {
		return err
	}
	return withHistory(ctx, env, w.config, func(c *config.Config, q *queue.Queue) error {
		if err := checkPortal(c, w.portal); err != nil {
			return err
		}
		names, err := historyPortals(c, w.portal)
		if err != nil {
			return err
		}
		all := catchup.NewWindows(q.Database())
		list, err := all.List(ctx, "")
		if err != nil {
			return err
		}
		var selected []catchup.Window
		for _, one := range list {
			if (w.rule == "" || one.Rule == w.rule) && (names == nil || slices.Contains(names, one.Portal)) {
				selected = append(selected, one)
			}
		}
		return do(all, selected)
	})
}

var catchupListCmd = &command{
	name:  "catchup list",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--format text|json]",
	short: "list the times that are not caught up",
	long: `List prints the windows: the portal, the rule ("all" for all rules), the time, why
events may have been missed, and why the window was not caught up so far.

Exit codes: 0 no window, 1 some, 2 usage error, 3 list could not read the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		w := &windowFlags{}
		w.declare(fs)
		fs.StringVar(&w.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := oneOf("format", w.format, "text", "json"); err != nil {
				return err
			}
			return w.with(ctx, env, args, func(_ *catchup.Windows, selected []catchup.Window) error {
				if err := report.WriteWindows(env.Out, w.format, selected); err != nil {
					return err
				}
				if len(selected) > 0 {
					return errFindings
				}
				return nil
			})
		}
	},
}

var catchupRunCmd = &command{
	name:  "catchup run",
	args:  "[--config FILE] [--portal NAME] [--rule ID]",
	short: "catch up now, without limits",
	long: `Run makes serve catch up the windows now, whatever the limits of catch_up say. It
also runs the deleted steps for any number of missing entities. So check first that
the webhook's user still sees them.

Exit codes: 0 serve has received the order, or no window is open, 2 usage error, 3
run could not write to the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		w := &windowFlags{}
		w.declare(fs)
		return func(ctx context.Context, env environment, args []string) error {
			return w.with(ctx, env, args, func(all *catchup.Windows, selected []catchup.Window) error {
				if len(selected) == 0 {
					env.say("no window is open")
					return nil
				}
				if err := all.Order(ctx, selected); err != nil {
					return err
				}
				env.say("serve catches up %s now", report.Plural(len(selected), "window", "windows"))
				return nil
			})
		}
	},
}

var catchupDropCmd = &command{
	name:  "catchup drop",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--yes]",
	short: "give up times that are not caught up",
	long: `Drop deletes the windows. What changed in them is not caught up any more; a sync can
still find it. Without --yes, drop only lists the windows.

Exit codes: 0 the windows are dropped, or no window is open, 1 --yes is missing, 2
usage error, 3 drop could not write to the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		w := &windowFlags{}
		w.declare(fs)
		yes := fs.Bool("yes", false, "drop them")
		return func(ctx context.Context, env environment, args []string) error {
			return w.with(ctx, env, args, func(all *catchup.Windows, selected []catchup.Window) error {
				if len(selected) == 0 {
					env.say("no window is open")
					return nil
				}
				if err := report.WriteWindows(env.Out, "text", selected); err != nil {
					return err
				}
				if !*yes {
					env.say("add --yes to drop them")
					return errFindings
				}
				return all.Drop(ctx, selected)
			})
		}
	},
}
