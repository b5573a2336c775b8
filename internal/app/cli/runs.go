package cli

import (
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

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
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

// states are all states of a run, in the order of its lifecycle.
var states = []queue.State{
	queue.Waiting, queue.Blocked, queue.Queued, queue.Running, queue.Succeeded, queue.Parked, queue.Discarded,
}

// runFilter are the flags that select runs.
type runFilter struct {
	portal, rule, entity, state, since string
}

func (f *runFilter) flags(fs *flag.FlagSet) {
	fs.StringVar(&f.portal, "portal", "", "only runs of the portal `NAME`")
	fs.StringVar(&f.rule, "rule", "", "only runs of the rule `ID`")
	fs.StringVar(&f.entity, "entity", "", "only runs for `ENTITY`, such as deal:759 or item:31:7")
	fs.StringVar(&f.state, "state", "", "only runs in one of the `STATES`, such as parked or waiting,running")
	fs.StringVar(&f.since, "since", "", "only runs whose first event arrived since `TIME`: 2h, 3d, 2026-01-31 or 2026-01-31T15:00:00+03:00")
}

func (f *runFilter) empty() bool { return *f == runFilter{} }

// filter converts the flags.
func (f *runFilter) filter(c *config.Config, now time.Time) (queue.Filter, error) {
	out := queue.Filter{Portal: f.portal, Rule: f.rule, Entity: f.entity}
	if f.entity != "" {
		e, err := parseEntity(f.entity)
		if err != nil {
			return out, err
		}
		out.Entity = e.String()
	}
	for word := range strings.SplitSeq(f.state, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if !slices.Contains(states, queue.State(word)) {
			return out, oneOf("state", word, stateWords()...)
		}
		out.States = append(out.States, queue.State(word))
	}
	if f.since != "" {
		var err error
		if out.From, err = parseSince(f.since, now); err != nil {
			return out, err
		}
	}
	return out, checkPortal(c, f.portal, true)
}

// parseEntity reads an entity. It accepts the names of types in rule files:
// smart_invoice:7 is item:31:7.
func parseEntity(text string) (engine.Entity, error) {
	e, err := engine.ParseEntity(strings.TrimSpace(text))
	if err != nil || e.ID == "" {
		return e, usagef("--entity %q: want a kind and an id, such as deal:759 or item:31:7", text)
	}
	if o, ok := schemas.LookupOwner(e.Kind); ok {
		e.Kind = o.Name
		if o.ID >= schemas.TypeSmartInvoice {
			e = engine.Entity{Kind: "item", TypeID: o.ID, ID: e.ID}
		}
	}
	if e.TypeID == 0 {
		return e, nil // not an item of the CRM
	}
	n, err := strconv.ParseUint(e.ID, 10, 63)
	if err != nil || n == 0 {
		return e, usagef("--entity %q: %q is not the id of an item", text, e.ID)
	}
	e.ID = strconv.FormatUint(n, 10)
	return e, nil
}

func stateWords() []string {
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = string(s)
	}
	return out
}

// parseSince reads a time, or a duration before now.
func parseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	ago := text
	days := 0
	if n, rest, ok := strings.Cut(text, "d"); ok {
		d, err := strconv.Atoi(n)
		if err != nil || d < 0 || d > 36500 {
			ago = "?"
		}
		days, ago = d, rest
	}
	d := time.Duration(0)
	var err error
	if ago != "" {
		d, err = time.ParseDuration(ago)
	}
	if err != nil || d < 0 || text == "" {
		return time.Time{}, usagef("--since %q: want a duration before now, such as 90m, 2h or 3d, or a time, such as 2026-01-31 or 2026-01-31T15:00:00+03:00", text)
	}
	return now.AddDate(0, 0, -days).Add(-d), nil
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
