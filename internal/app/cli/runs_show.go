package cli

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"slices"
	"time"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/config"
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
		fs.BoolVar(&s.verbose, "v", false, "tell all attempts, parameters and answers")
		fs.IntVar(&s.attempt, "attempt", 0, "tell the steps of attempt `N` instead of the last one")
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
				st, err := readStory(ctx, q, ids[0])
				if err != nil {
					return err
				}
				if s.config = ""; *path != config.DefaultFile {
					s.config = " --config " + *path
				}
				return s.print(env.Out, st)
			})
		}
	},
}

type runsShow struct {
	verbose bool
	attempt int
	format  string
	config  string // the flag for the commands that are advised
}

// story is everything that is known of a run.
type story struct {
	run      listedRun
	events   []queue.Event
	attempts []toldAttempt
	// later is the next run of the same rule for the same entity that has begun
	// since; nil without one.
	later  *queue.Info
	pauses []queue.Pause
}

// toldAttempt is an attempt with its record; that is nil when there is none.
type toldAttempt struct {
	queue.Attempt
	record *history.Record
}

func readStory(ctx context.Context, q *queue.Queue, id int64) (*story, error) {
	info, err := findRun(ctx, q, id)
	if err != nil {
		return nil, err
	}
	st := &story{run: listedRun{Info: info}}
	if st.events, err = q.Events(ctx, id); err != nil {
		return nil, err
	}
	attempts, err := q.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		t := toldAttempt{Attempt: a}
		if a.Record != nil {
			if t.record, err = history.ReadRecord(a.Record); err != nil {
				return nil, err
			}
		}
		st.attempts = append(st.attempts, t)
	}
	if n := len(st.attempts); n > 0 {
		last := st.attempts[n-1]
		st.run.record, st.run.took = last.record, last.Finished.Sub(last.Started)
	}
	if st.later, err = laterRun(ctx, q, info); err != nil {
		return nil, err
	}
	all, err := q.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	st.pauses = pausesOf(all, info.Portal, info.Rule)
	return st, nil
}

// laterRun finds the latest run of the same rule and entity after this one. A
// run reads the state of now, so what it did stands for this one too.
func laterRun(ctx context.Context, q *queue.Queue, r queue.Info) (*queue.Info, error) {
	runs, err := q.Runs(ctx, queue.Filter{Portal: r.Portal, Rule: r.Rule, Entity: r.Entity, Limit: 20})
	if err != nil {
		return nil, err
	}
	for _, other := range runs {
		if other.ID > r.ID && other.State != queue.Discarded {
			return &other, nil
		}
	}
	return nil, nil
}

func (s *runsShow) print(w io.Writer, st *story) error {
	if s.attempt != 0 && !slices.ContainsFunc(st.attempts, func(a toldAttempt) bool { return a.Number == s.attempt }) {
		return usagef("--attempt %d: the run has %s", s.attempt, plural(len(st.attempts), "attempt", "attempts"))
	}
	if s.format == "json" {
		return writeJSON(w, st.json())
	}
	t := &teller{sheet: newSheet(w), show: s}
	t.story(st)
	_, err := io.WriteString(w, t.String())
	return err
}

// jsonStory is a story for machines.
type jsonStory struct {
	jsonRun
	EventList []storedEvent `json:"event_list"`
	Attempts  []jsonAttempt `json:"attempts"`
	Later     int64         `json:"later,omitempty"`
}

type storedEvent struct {
	ID       int64           `json:"id"`
	Code     string          `json:"code"`
	Data     json.RawMessage `json:"data"`
	Sent     *time.Time      `json:"sent,omitempty"`
	Received *time.Time      `json:"received,omitempty"`
}

type jsonAttempt struct {
	Number   int             `json:"number"`
	Outcome  string          `json:"outcome"`
	Error    string          `json:"error,omitempty"`
	Started  *time.Time      `json:"started,omitempty"`
	Finished *time.Time      `json:"finished,omitempty"`
	Record   json.RawMessage `json:"record,omitempty"`
}

func (st *story) json() jsonStory {
	out := jsonStory{jsonRun: newJSONRun(st.run), EventList: []storedEvent{}, Attempts: []jsonAttempt{}}
	for _, e := range st.events {
		out.EventList = append(out.EventList, storedEvent{e.ID, e.Code, e.Data, stamp(e.Sent), stamp(e.Received)})
	}
	for _, a := range st.attempts {
		record, _ := history.UnpackRecord(a.Record) // it has been read
		out.Attempts = append(out.Attempts, jsonAttempt{
			Number: a.Number, Outcome: string(a.Outcome), Error: a.Error, Started: stamp(a.Started), Finished: stamp(a.Finished), Record: record,
		})
	}
	if st.later != nil {
		out.Later = st.later.ID
	}
	return out
}
