package cli

import (
	"context"
	"flag"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsListCmd = &command{
	name:  "runs list",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--entity ENTITY] [--state STATES] [--outcome OUTCOMES] [--cause CAUSE] [--text TEXT] [--from TIME] [--until TIME] [--by cause|day] [--limit N] [--before RUN] [--format text|json]",
	short: "list runs, the latest first",
	long: `List prints runs, the latest first: the state, the rule, the entity, the number of
attempts, and the result or the error.

States: waiting (until its time, or blocked by another run of its entity), asleep
(until a time of its rule), running, succeeded, parked (failed permanently),
discarded. --state blocked selects the blocked ones among the waiting runs.

Outcomes: wrote (it wrote something), nothing (there was nothing to write), done (its
steps ran), skipped (its condition was false), stopped (by a stop step), deleted (its
steps for a deleted entity ran), gone (the entity does not exist), retrying (it failed
and is tried again). An older version of the program stored no outcome.

--by cause counts the runs by what made them fail, with what helps: the parked runs,
or those with the given --state. --cause selects the runs of one cause.
--by day counts for each day of the last week, or from --from to --until and at most 31
days, how many runs there were, wrote something, had nothing to do, and are parked.

Times are those of the portal, and the first line names its time zone. --from and
--until also accept --since and --to. On a terminal the lines are cut to its width;
an error that does not fit is printed below its run. --format json prints one object
with "runs" and "next", the number for --before that returns the next page.`,
	setup: func(fs *flag.FlagSet) runFunc {
		l := &runsList{}
		path := configFlag(fs)
		l.filter.flags(fs)
		fs.StringVar(&l.by, "by", "", "count the runs by `WHAT`: cause or day")
		fs.IntVar(&l.limit, "limit", 50, "print at most `N` runs")
		fs.Int64Var(&l.before, "before", 0, "only runs before the number `RUN`: the next page")
		fs.StringVar(&l.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if l.by != "" {
				fs.Visit(func(f *flag.Flag) {
					if f.Name == "limit" || f.Name == "before" {
						l.paged = true
					}
				})
				return l.counts(ctx, env, *path)
			}
			return l.run(ctx, env, *path)
		}
	},
}

type runsList struct {
	filter runFilter
	limit  int
	before int64
	paged  bool // --limit or --before is given
	by     string
	format string
}

// counts prints how many runs there are by cause or by day.
func (l *runsList) counts(ctx context.Context, env environment, path string) error {
	if err := oneOf("by", l.by, "cause", "day"); err != nil {
		return err
	}
	if err := oneOf("format", l.format, "text", "json"); err != nil {
		return err
	}
	if l.paged {
		return usagef("--by %s counts all runs: remove --limit and --before", l.by)
	}
	return withHistory(ctx, env, path, func(c *config.Config, q *queue.Queue) error {
		f, err := l.filter.filter(ctx, env, c, q)
		if err != nil {
			return err
		}
		if l.by == "day" {
			days, err := report.ReadDays(ctx, q, f, zoneOf(c, f.Portal), 0)
			if err != nil {
				return err
			}
			return report.WriteDays(env.Out, l.format, days)
		}
		if len(f.States) == 0 {
			f.States = []journal.State{journal.Parked}
		}
		all, err := report.ReadCauses(ctx, q, f, known(c))
		if err != nil {
			return err
		}
		if len(all) == 0 && l.format == "text" {
			env.say("no runs")
			return nil
		}
		return report.WriteCauses(env.Out, l.format, all, known(c))
	})
}

func (l *runsList) run(ctx context.Context, env environment, path string) error {
	if err := oneOf("format", l.format, "text", "json"); err != nil {
		return err
	}
	if err := checkPage(l.limit, l.before, "a run"); err != nil {
		return err
	}
	return withHistory(ctx, env, path, func(c *config.Config, q *queue.Queue) error {
		f, err := l.filter.filter(ctx, env, c, q)
		if err != nil {
			return err
		}
		f.Before, f.Limit = l.before, l.limit
		found, err := journal.SearchRuns(ctx, q.Database(), f, 0)
		if err != nil {
			return err
		}
		next := found.Next
		listed, err := report.List(ctx, q, found.List)
		if err != nil {
			return err
		}
		if l.format == "json" {
			return report.WriteList(env.Out, l.format, listed, next, known(c))
		}
		if err := sayPauses(ctx, env, c, q); err != nil {
			return err
		}
		if len(listed) == 0 {
			env.say("no runs")
			return nil
		}
		if err := report.WriteList(env.Out, l.format, listed, next, known(c)); err != nil {
			return err
		}
		if next != 0 {
			env.say("for more runs add --before %d", next)
		}
		return nil
	})
}

// sayPauses prints the pauses and the holds.
func sayPauses(ctx context.Context, env environment, c *config.Config, q *queue.Queue) error {
	pauses, err := q.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		env.say("%s", report.PauseText(p, zoneOf(c, p.Portal)))
	}
	holds, err := q.HoldList(ctx)
	if err != nil {
		return err
	}
	for _, h := range holds {
		env.say("%s", report.HoldText(h, zoneOf(c, h.Portal)))
	}
	return nil
}
