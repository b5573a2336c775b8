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
	short: "show a run in detail",
	long: `Show prints what happened in a run: its events, the version of the rule and each
attempt. Of the last attempt it prints the steps with arguments and results, the
REST commands with durations, the error with its line in the rule file, and
advice.

A run that waited can join another run of its rule and entity. Show then prints that
one. Times are those of the portal.

With -v it prints the steps of all attempts, and the parameters and the answer of
each command. history.record in the configuration limits what is stored; show marks
where something is missing. A run that succeeded and wrote nothing has no
parameters and answers in the history.`,
	setup: func(fs *flag.FlagSet) runFunc {
		s := &runsShow{}
		path := configFlag(fs)
		fs.BoolVar(&s.options.Verbose, "v", false, "print all attempts, parameters and answers")
		fs.IntVar(&s.options.Attempt, "attempt", 0, "print the steps of attempt `N` instead of the last one")
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
				return usagef("which run? 'b24rules runs list' shows the numbers")
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				st, err := report.ReadRun(ctx, q, ids[0])
				if err != nil {
					return err
				}
				if st.Listed.ID != ids[0] {
					env.say("run %d joined run %d", ids[0], st.Listed.ID)
				}
				s.options.Known = known(c)
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
