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
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/diag"
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
	queue.Waiting, queue.Asleep, queue.Blocked, queue.Queued, queue.Running, queue.Succeeded, queue.Parked, queue.Discarded,
}

// runFilter are the flags that select runs.
type runFilter struct {
	historyFilter
	state, cause string
}

func (f *runFilter) flags(fs *flag.FlagSet) {
	f.historyFilter.flags(fs, "runs", "whose first event arrived")
	fs.StringVar(&f.state, "state", "", "only runs in one of the `STATES`, such as parked or waiting,running")
	fs.StringVar(&f.cause, "cause", "", "only runs that failed because of `CAUSE`, a word from runs list --by cause")
}

func (f *runFilter) empty() bool { return *f == runFilter{} }

// filter converts the flags. It refuses names that neither the configuration nor the
// history has.
func (f *runFilter) filter(ctx context.Context, env environment, c *config.Config, q *queue.Queue) (queue.Filter, error) {
	out := queue.Filter{Portals: historyPortals(c, f.portal), Rule: f.rule}
	var err error
	if out.Entity, err = f.entityText(); err != nil {
		return out, err
	}
	if out.States, err = parseStates(f.state); err != nil {
		return out, err
	}
	if out.From, out.To, err = f.times(c, time.Now()); err != nil {
		return out, err
	}
	if err := f.known(ctx, env, c, q); err != nil {
		return out, err
	}
	out.Cause, err = findCause(ctx, q, f.cause)
	return out, err
}

// parseStates reads --state.
func parseStates(text string) ([]queue.State, error) {
	if text == "" {
		return nil, nil
	}
	var out []queue.State
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(states, queue.State(word)) {
			return nil, oneOf("state", word, stateWords()...)
		}
		out = append(out, queue.State(word))
	}
	return out, nil
}

// leastCause is how many characters of a cause are enough, if no other one starts with
// them.
const leastCause = 4

// findCause returns the stored form of a cause. An empty id selects all causes.
func findCause(ctx context.Context, q *queue.Queue, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	counts, err := q.Causes(ctx, queue.Filter{States: []queue.State{queue.Parked, queue.Waiting, queue.Running, queue.Discarded}})
	if err != nil {
		return "", err
	}
	var found, known []string
	for _, n := range counts {
		if n.Cause == "" {
			continue
		}
		known = append(known, cause.ID(n.Cause))
		if len(id) >= leastCause && strings.HasPrefix(cause.ID(n.Cause), strings.ToLower(id)) && !slices.Contains(found, n.Cause) {
			found = append(found, n.Cause)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	text := fmt.Sprintf("--cause %q: no run has failed because of it: 'b24rules runs list --by cause' lists the causes", id)
	if len(found) > 1 {
		text = fmt.Sprintf("--cause %q: %d causes start with it: write more characters", id, len(found))
	} else if near := diag.Closest(id, known); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return "", &usageError{text}
}

// parseEntity reads an entity. It accepts the names of types in rule files:
// smart_invoice:7 is item:31:7.
func parseEntity(text string) (engine.Entity, error) {
	e, err := engine.ParseEntity(strings.TrimSpace(text))
	if err != nil || e.ID == "" {
		return e, usagef("--entity %q: want a kind and an id, such as deal:759 or item:31:7", text)
	}
	o, ok := schemas.LookupOwner(e.Kind)
	if kinds := entityKinds(); !ok && !slices.Contains(kinds, e.Kind) {
		text := fmt.Sprintf("--entity %q: no event has entities of the kind %q", text, e.Kind)
		if near := diag.Closest(e.Kind, kinds); near != "" {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		return e, &usageError{text}
	}
	if ok {
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

// entityKinds are the kinds of entities that events have, the portal itself, and keys of
// hooks.
func entityKinds() []string {
	kinds := []string{engine.KindPortal, engine.KindHook}
	for _, e := range schemas.Events() {
		if e.Entity != "" {
			kinds = append(kinds, e.Entity)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func stateWords() []string {
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = string(s)
	}
	return out
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
