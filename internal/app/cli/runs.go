package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsCmd = &command{
	name:  "runs",
	args:  "COMMAND [FLAGS] [ARGUMENTS]",
	short: "show runs, replay or discard them, pause rules",
	long: `Runs shows past and pending work: each run of a rule for an entity with its
events, attempts, steps and REST commands. It works with and without a running
serve.

A run that failed permanently is parked: a dead letter. You can replay it, which
runs the current rule from the start, or discard it.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{runsListCmd, runsShowCmd, runsExportCmd, runsReplayCmd, runsDiscardCmd, runsPauseCmd, runsResumeCmd},
}

// openHistory opens the existing database of a configuration. The caller closes it.
func openHistory(ctx context.Context, env environment, path string) (*config.Config, *queue.Queue, error) {
	c, err := loadConfig(env, path)
	if err != nil {
		return nil, nil, err
	}
	if err := haveDatabase(c); err != nil {
		return nil, nil, err
	}
	q, err := queue.Open(ctx, c.Database, queue.Options{Log: warnings(env)})
	if err != nil {
		return nil, nil, err
	}
	return c, q, nil
}

// haveDatabase returns an error if the database does not exist yet.
func haveDatabase(c *config.Config) error {
	file, ok := strings.CutPrefix(c.Database, "sqlite:")
	if _, err := os.Stat(file); ok && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the database %s does not exist yet: serve creates it", file)
	}
	return nil
}

// warnings is the log of the commands other than serve.
func warnings(env environment) *slog.Logger {
	return env.log(slog.LevelWarn)
}

// log returns a log on stderr without secrets.
func (env environment) log(level slog.Level) *slog.Logger {
	return slog.New(env.redactor.Handler(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: level})))
}

// withHistory calls do with the database and closes it.
func withHistory(ctx context.Context, env environment, path string, do func(c *config.Config, q *queue.Queue) error) (err error) {
	c, q, err := openHistory(ctx, env, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	return do(c, q)
}

// runFilter are the flags that select runs.
type runFilter struct {
	historyFilter
	state, outcome, cause string
	text                  string // in errors and entities
}

func (f *runFilter) flags(fs *flag.FlagSet) {
	f.historyFilter.flags(fs, "runs", "whose first event arrived")
	fs.StringVar(&f.state, "state", "", "only runs in one of the `STATES`, such as parked or waiting,running")
	fs.StringVar(&f.outcome, "outcome", "", "only runs that did one of the `OUTCOMES`, such as wrote or skipped,nothing")
	fs.StringVar(&f.cause, "cause", "", "only runs that failed because of `CAUSE`, a word from runs list --by cause")
	fs.StringVar(&f.text, "text", "", "only runs with `TEXT` in their error or entity")
}

// said names the selected runs for people.
func (f *runFilter) said() string {
	var words []string
	for _, w := range [][2]string{{"portal", f.portal}, {"rule", f.rule}, {"entity", f.entity}, {"state", f.state}, {"outcome", f.outcome}, {"cause", f.cause}, {"text", f.text}, {"from", cmp.Or(f.from, f.since)}, {"until", cmp.Or(f.until, f.to)}} {
		if w[1] != "" {
			words = append(words, w[0]+" "+w[1])
		}
	}
	return strings.Join(words, ", ")
}

func (f *runFilter) empty() bool { return *f == runFilter{} }

// filter converts the flags. It refuses names that neither the configuration nor the
// history has.
func (f *runFilter) filter(ctx context.Context, env environment, c *config.Config, q *queue.Queue) (journal.Filter, error) {
	out := journal.Filter{Rule: f.rule, Text: f.text}
	var err error
	if out.Portals, err = historyPortals(c, f.portal); err != nil {
		return out, err
	}
	if out.Entity, err = f.entityText(); err != nil {
		return out, err
	}
	if out.States, err = report.ParseStates("--state", f.state); err != nil {
		return out, usageOfFilter(err)
	}
	if out.Did, err = report.ParseOutcomes("--outcome", f.outcome); err != nil {
		return out, usageOfFilter(err)
	}
	if out.From, out.To, err = f.times(c, time.Now()); err != nil {
		return out, err
	}
	if err := f.known(ctx, env, c, q); err != nil {
		return out, err
	}
	out.Cause, err = report.FindCause(ctx, q, "--cause", f.cause)
	return out, usageOfFilter(err)
}

// usageOfFilter converts the error of a filter that cannot be read to a usageError.
func usageOfFilter(err error) error {
	var filter *report.FilterError
	if errors.As(err, &filter) {
		return usageOf(err)
	}
	return err
}

// runIDs reads the ids of runs.
func runIDs(args []string) ([]int64, error) { return numbers(args, "a run", "runs list") }

// numbers reads ids that a command lists.
func numbers(args []string, what, list string) ([]int64, error) {
	out := make([]int64, 0, len(args))
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil || id <= 0 {
			return nil, usagef("%q is not %s: want a number from 'b24rules %s'", a, what, list)
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}
