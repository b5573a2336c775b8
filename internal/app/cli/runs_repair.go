package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsReplayCmd = &command{
	name:  "runs replay",
	args:  "[--config FILE] RUN... | [--portal NAME] [--rule ID] [--entity ENTITY] [--state STATES] [--outcome OUTCOMES] [--cause CAUSE] [--text TEXT] [--from TIME] [--until TIME] --yes",
	short: "run parked or discarded runs again",
	long: `Replay queues parked or discarded runs again. They start from the beginning, with
the current rule and the current entity, as soon as serve is running. If flags
select the runs, replay takes the parked ones, or those with the given --state.

A replayed run keeps its number, and its attempts are counted on. If another run of
the rule and entity already waits, that one joins it. runs show prints who replayed the
run and when.

A replay does not repeat changes that were already made: it compares the current
state and writes only differences. Effects outside the portal's data, such as a
comment, are recorded and not repeated.`,
	setup: func(fs *flag.FlagSet) runFunc {
		return newRepair(fs, repairWords{verb: "replay", done: "replayed", states: "parked"}, (*queue.Queue).Replay, (*queue.Queue).ReplayAll)
	},
}

var runsDiscardCmd = &command{
	name:  "runs discard",
	args:  "[--config FILE] RUN... | [--portal NAME] [--rule ID] [--entity ENTITY] [--state STATES] [--outcome OUTCOMES] [--cause CAUSE] [--text TEXT] [--from TIME] [--until TIME] --yes",
	short: "discard runs",
	long: `Discard gives up runs that are parked or have not started. If flags select the
runs, discard takes the parked ones, or those with the given --state. Discarded
runs stay in the history for a while, and you can replay them. A later event of
the same entity starts a new run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		return newRepair(fs, repairWords{verb: "discard", done: "discarded", states: "parked or waiting"}, (*queue.Queue).Discard, (*queue.Queue).DiscardAll)
	},
}

// repairWords are the words of a repair in messages.
type repairWords struct{ verb, done, states string }

// repair replays or discards runs.
type repair struct {
	repairWords
	one    repairOne
	all    repairAll
	filter runFilter
	yes    bool
}

type (
	repairOne func(*queue.Queue, context.Context, int64, string, ...queue.Also) error
	repairAll func(*queue.Queue, context.Context, journal.Filter, string, ...queue.Also) (int, error)
)

func newRepair(fs *flag.FlagSet, words repairWords, one repairOne, all repairAll) runFunc {
	r := &repair{repairWords: words, one: one, all: all}
	path := configFlag(fs)
	r.filter.flags(fs)
	fs.BoolVar(&r.yes, "yes", false, "apply to all selected runs; without it they are only counted")
	return func(ctx context.Context, env environment, args []string) error {
		ids, err := runIDs(args)
		if err != nil {
			return err
		}
		switch {
		case len(ids) == 0 && r.filter.empty():
			return usagef("which runs? give their numbers, or select runs with --state, --cause, --rule, --portal, --entity, --from or --until")
		case len(ids) > 0 && !r.filter.empty():
			return usagef("give numbers of runs or flags that select runs, not both")
		}
		return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
			if len(ids) > 0 {
				return r.named(ctx, env, q, ids)
			}
			return r.chosen(ctx, env, c, q)
		})
	}
}

// named repairs the runs with the given ids. If one cannot be repaired, it continues
// with the others.
func (r *repair) named(ctx context.Context, env environment, q *queue.Queue, ids []int64) error {
	failed := 0
	for _, id := range ids {
		err := r.one(q, ctx, id, person(), noted(audit.Entry{Action: audit.Action(r.done), Target: fmt.Sprintf("run %d", id)}))
		switch {
		case err == nil:
			_, _ = fmt.Fprintf(env.Out, "%s run %d\n", r.done, id)
			continue
		case errors.Is(err, queue.ErrState):
			run, findErr := report.FindRun(ctx, q, id)
			if findErr != nil {
				return findErr
			}
			env.say("run %d is %s: only %s runs can be %s", id, run.State, r.able(), r.done)
		case errors.Is(err, queue.ErrNoRun):
			run, findErr := report.FindRun(ctx, q, id)
			switch {
			case errors.Is(findErr, queue.ErrNoRun):
				env.say("run %d: %v", id, queue.ErrNoRun)
			case findErr != nil:
				return findErr
			default:
				env.say("run %d joined run %d, which is %s", id, run.ID, run.State)
			}
		default:
			return err
		}
		failed++
	}
	if r.verb == "replay" && failed < len(ids) {
		if _, err := probeNow(ctx, env, q, "", ""); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s of %s could not be %s", report.Plural(failed, "run", "runs"), fmt.Sprint(len(ids)), r.done)
	}
	return nil
}

func (r *repair) able() string {
	if r.verb == "replay" {
		return "parked and discarded"
	}
	return r.states
}

// chosen repairs the runs that the flags select.
func (r *repair) chosen(ctx context.Context, env environment, c *config.Config, q *queue.Queue) error {
	f, err := r.filter.filter(ctx, env, c, q)
	if err != nil {
		return err
	}
	if len(f.States) == 0 {
		f.States = []journal.State{journal.Parked}
	}
	for _, s := range f.States {
		if !r.takes(s) {
			return usagef("--state %s: only %s runs can be %s", s, r.able(), r.done)
		}
	}
	if !r.yes {
		n, err := countRuns(ctx, q, f)
		if err != nil {
			return err
		}
		if n == 0 {
			env.say("no runs to %s", r.verb)
			return nil
		}
		return usagef("this would %s %s: check them with 'b24rules runs list' and the same flags, then add --yes", r.verb, report.Plural(n, "run", "runs"))
	}
	e := audit.Entry{Action: audit.Action(r.done), Target: r.filter.said()}
	if len(f.Portals) == 1 {
		e.Portal = f.Portals[0]
	}
	n, err := r.all(q, ctx, f, person(), noted(e))
	if err == nil && r.verb == "replay" {
		err = probePortals(ctx, env, q, f.Portals)
	}
	if n > 0 || err == nil {
		_, _ = fmt.Fprintf(env.Out, "%s %s\n", r.done, report.Plural(n, "run", "runs"))
	}
	return err
}

// probePortals is probeNow for several portals, all if names is nil.
func probePortals(ctx context.Context, env environment, q *queue.Queue, names []string) error {
	if names == nil {
		names = []string{""}
	}
	for _, name := range names {
		if _, err := probeNow(ctx, env, q, name, ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *repair) takes(s journal.State) bool {
	switch s {
	case journal.Parked:
		return true
	case journal.Discarded:
		return r.verb == "replay"
	case journal.Waiting, journal.Asleep, journal.Blocked, journal.Queued:
		return r.verb == "discard"
	case journal.Running, journal.Succeeded:
	}
	return false
}

// countRuns counts the runs that a filter selects.
func countRuns(ctx context.Context, q *queue.Queue, f journal.Filter) (int, error) {
	f.Limit = 1000
	n := 0
	for {
		page, err := journal.FindRuns(ctx, q.Database(), f)
		if err != nil {
			return n, err
		}
		n += len(page)
		if len(page) < f.Limit {
			return n, nil
		}
		f.Before = page[len(page)-1].ID
	}
}
