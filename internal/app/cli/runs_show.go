package cli

import (
	"context"
	"flag"
	"io"
	"slices"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsShowCmd = &command{
	name:  "runs show",
	args:  "[--config FILE] [-v] [--attempt N] [--format text|json] RUN",
	short: "tell the story of a run",
	long: `Show tells what happened in a run: the events that asked for it, the version of
the rule, each attempt, and of the last one the steps with their arguments and
results, the REST commands with their durations, the error with its place in the
rule file, and what can be done about it.

With -v the steps of all attempts are told, and each command with its parameters
and answer. What is kept is bounded by history.record of the configuration; where
something was left out it says so. A run that succeeded and wrote nothing keeps no
parameters and answers.`,
	setup: func(fs *flag.FlagSet) runFunc {
		s := &runsShow{}
		path := configFlag(fs)
		fs.BoolVar(&s.options.Verbose, "v", false, "tell all attempts, parameters and answers")
		fs.IntVar(&s.options.Attempt, "attempt", 0, "tell the steps of attempt `N` instead of the last one")
		fs.StringVar(&s.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := oneOf("format", s.format, "text", "json"); err != nil {
				return err
			}
			ids, err := runIDs(args)
			if err != nil {
				return err
			}
			if len(ids) != 1 {
				return usagef("which run? 'b24rules runs list' shows their numbers")
			}
			return withHistory(ctx, env, *path, func(_ *config.Config, q *queue.Queue) error {
				st, err := report.ReadRun(ctx, q, ids[0])
				if err != nil {
					return err
				}
				if s.options.ConfigFlag = ""; *path != config.DefaultFile {
					s.options.ConfigFlag = " --config " + *path
				}
				return s.print(env.Out, st)
			})
		}
	},
}

type runsShow struct {
	format  string
	options report.RunOptions
}

func (s *runsShow) print(w io.Writer, r *report.Run) error {
	if n := s.options.Attempt; n != 0 && !slices.ContainsFunc(r.Attempts, func(a report.Attempt) bool { return a.Number == n }) {
		return usagef("--attempt %d: the run has %s", n, report.Plural(len(r.Attempts), "attempt", "attempts"))
	}
	return report.WriteRun(w, s.format, r, s.options)
}
