package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/queue"
)

var runsListCmd = &command{
	name:  "runs list",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--entity ENTITY] [--state STATES] [--since TIME] [--limit N] [--before RUN] [--format text|json]",
	short: "list runs, the latest first",
	long: `List prints runs, the latest first: where each stands, for what, its attempts, and
what it did or why it failed.

States: waiting (for its time), blocked (by another run of its entity), queued,
running, succeeded, parked (failed for good), discarded.

The output for a terminal is cut to its width. --format json prints one object:
"runs", and "next", the number for --before that gives the next page.`,
	setup: func(fs *flag.FlagSet) runFunc {
		l := &runsList{}
		path := configFlag(fs)
		l.filter.flags(fs)
		fs.IntVar(&l.limit, "limit", 50, "print at most `N` runs")
		fs.Int64Var(&l.before, "before", 0, "only runs before the one numbered `RUN`: the next page")
		fs.StringVar(&l.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return l.run(ctx, env, *path)
		}
	},
}

// configFlag is the flag that names the configuration.
func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", config.DefaultFile, "read the configuration from `FILE`")
}

type runsList struct {
	filter runFilter
	limit  int
	before int64
	format string
}

func (l *runsList) run(ctx context.Context, env environment, path string) error {
	if err := oneOf("format", l.format, "text", "json"); err != nil {
		return err
	}
	if l.limit < 1 || l.limit > 10_000 {
		return usagef("--limit %d: want 1 to 10000", l.limit)
	}
	if l.before < 0 {
		return usagef("--before %d: want the number of a run", l.before)
	}
	return withHistory(ctx, env, path, func(c *config.Config, q *queue.Queue) error {
		f, err := l.filter.filter(c, time.Now())
		if err != nil {
			return err
		}
		f.Before, f.Limit = l.before, l.limit+1
		runs, err := q.Runs(ctx, f)
		if err != nil {
			return err
		}
		next := int64(0)
		if len(runs) > l.limit {
			runs = runs[:l.limit]
			next = runs[l.limit-1].ID
		}
		listed := make([]listedRun, len(runs))
		for i, r := range runs {
			if listed[i], err = describeRun(ctx, q, r); err != nil {
				return err
			}
		}
		if l.format == "json" {
			return l.json(env.Out, listed, next)
		}
		if err := sayPauses(ctx, env, q); err != nil {
			return err
		}
		if len(listed) == 0 {
			env.say("no runs")
			return nil
		}
		if err := l.table(env.Out, listed); err != nil {
			return err
		}
		if next != 0 {
			env.say("there are more: --before %d", next)
		}
		return nil
	})
}

// sayPauses tells what is paused.
func sayPauses(ctx context.Context, env environment, q *queue.Queue) error {
	pauses, err := q.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		env.say("%s", pauseText(p))
	}
	return nil
}

// listedRun is a run with what its last attempt did.
type listedRun struct {
	queue.Info
	took   time.Duration
	record *history.Record // nil without one
}

func describeRun(ctx context.Context, q *queue.Queue, r queue.Info) (listedRun, error) {
	out := listedRun{Info: r}
	if r.Attempt == 0 && r.Error == "" && r.State != queue.Succeeded {
		return out, nil
	}
	attempts, err := q.Attempts(ctx, r.ID)
	if err != nil || len(attempts) == 0 {
		return out, err
	}
	last := attempts[len(attempts)-1]
	out.took = last.Finished.Sub(last.Started)
	if last.Record != nil {
		// A record that cannot be read is no reason not to list the run.
		out.record, _ = history.ReadRecord(last.Record)
	}
	return out, nil
}

// when is the moment that matters most of a run.
func (r *listedRun) when() time.Time {
	switch {
	case !r.Finished.IsZero():
		return r.Finished
	case !r.Started.IsZero():
		return r.Started
	}
	return r.First
}

// what says in a few words what became of the run.
func (r *listedRun) what(s *sheet) string {
	switch r.State {
	case queue.Waiting:
		text := "due " + s.moment(r.Due)
		if r.Error != "" {
			text += ", failed before: " + r.failure()
		}
		return text
	case queue.Succeeded:
		if r.record == nil {
			return ""
		}
		text := string(r.record.Outcome)
		if r.record.Writes > 0 {
			text += ", " + plural(r.record.Writes, "write", "writes")
		}
		return text + ", " + span(r.took)
	case queue.Blocked:
		return "another run of the entity is under way"
	}
	return r.failure()
}

// failure is the error without the place and the rule, which stand elsewhere.
func (r *listedRun) failure() string {
	text := oneLine(r.Error)
	if _, rest, ok := strings.Cut(text, ": rule "+r.Rule+", "); ok {
		return rest
	}
	return strings.TrimPrefix(text, "rule "+r.Rule+": ")
}

func stateColour(state queue.State) string {
	switch state {
	case queue.Succeeded:
		return green
	case queue.Parked:
		return red
	case queue.Running, queue.Queued:
		return yellow
	case queue.Discarded:
		return dim
	}
	return cyan
}

func (l *runsList) table(w io.Writer, runs []listedRun) error {
	s := newSheet(w)
	head := []string{"RUN", "STATE", "WHEN", "PORTAL", "RULE", "ENTITY", "TRIES", "WHAT"}
	rows := [][]string{head}
	for i := range runs {
		r := &runs[i]
		rows = append(rows, []string{
			fmt.Sprint(r.ID), string(r.State), s.moment(r.when()), oneLine(r.Portal), oneLine(r.Rule), oneLine(r.Entity),
			fmt.Sprintf("%d/%d", r.Attempt, r.MaxAttempts), r.what(s),
		})
	}
	widths := columnWidths(rows, s.width)
	for i, row := range rows {
		line := ""
		for c, cell := range row {
			switch {
			case widths[c] == 0:
				continue
			case c == len(row)-1:
				if s.width > 0 {
					cell = fit(cell, max(s.width-utf8.RuneCountInString(line), 4))
				}
				line += cell
			default:
				cell = fit(cell, widths[c])
				line += cell + spaces(widths[c]+2-utf8.RuneCountInString(cell))
			}
		}
		s.WriteString(l.painted(s, i, runs, line) + "\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// painted colours the state in a line of the table.
func (l *runsList) painted(s *sheet, i int, runs []listedRun, line string) string {
	if i == 0 {
		return s.in(bold, line)
	}
	state := string(runs[i-1].State)
	id := fmt.Sprint(runs[i-1].ID)
	at := len(id)
	for at < len(line) && line[at] == ' ' {
		at++
	}
	return line[:at] + s.in(stateColour(queue.State(state)), state) + line[at+len(state):]
}

// columnWidths makes the columns as wide as what they hold, and narrower where
// the terminal wants it, so that the last one keeps some room. A portal that all
// runs share is left out then.
func columnWidths(rows [][]string, width int) []int {
	last := len(rows[0]) - 1
	widths := make([]int, last+1)
	for _, row := range rows {
		for c, cell := range row {
			widths[c] = max(widths[c], utf8.RuneCountInString(cell))
		}
	}
	if width == 0 {
		return widths
	}
	const portal, rule, entity, least = 3, 4, 5, 24
	used := func() int {
		n := 0
		for _, w := range widths[:last] {
			if w > 0 {
				n += w + 2
			}
		}
		return n
	}
	same := true
	for _, row := range rows[1:] {
		same = same && row[portal] == rows[1][portal]
	}
	if same && used()+least > width {
		widths[portal] = 0
	}
	for _, c := range []int{rule, portal, entity} {
		if over := used() + least - width; over > 0 && widths[c] > 8 {
			widths[c] = max(8, widths[c]-over)
		}
	}
	return widths
}

func spaces(n int) string { return fmt.Sprintf("%*s", max(n, 0), "") }

// jsonRun is a run for machines.
type jsonRun struct {
	ID          int64      `json:"id"`
	Portal      string     `json:"portal"`
	Rule        string     `json:"rule"`
	Entity      string     `json:"entity"`
	State       string     `json:"state"`
	Priority    string     `json:"priority,omitempty"`
	Added       bool       `json:"added,omitempty"`
	Deleted     bool       `json:"deleted,omitempty"`
	Events      int        `json:"events"`
	Attempt     int        `json:"attempt"`
	MaxAttempts int        `json:"max_attempts"`
	First       *time.Time `json:"first,omitempty"`
	Due         *time.Time `json:"due,omitempty"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	Started     *time.Time `json:"started,omitempty"`
	Finished    *time.Time `json:"finished,omitempty"`
	Error       string     `json:"error,omitempty"`
	// Of the last attempt.
	Outcome string  `json:"outcome,omitempty"`
	Version string  `json:"version,omitempty"`
	Calls   int     `json:"calls,omitempty"`
	Writes  int     `json:"writes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

func newJSONRun(r listedRun) jsonRun {
	out := jsonRun{
		ID: r.ID, Portal: r.Portal, Rule: r.Rule, Entity: r.Entity, State: string(r.State), Priority: r.Priority.String(),
		Added: r.Added, Deleted: r.Deleted, Events: r.Count, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts,
		First: stamp(r.First), Due: stamp(r.Due), NotBefore: stamp(r.NotBefore), Started: stamp(r.Started), Finished: stamp(r.Finished),
		Error: r.Error, Seconds: r.took.Seconds(),
	}
	if r.record != nil {
		out.Outcome, out.Version, out.Calls, out.Writes = string(r.record.Outcome), r.record.Version, r.record.Calls, r.record.Writes
	}
	return out
}

// stamp is a moment for JSON; nil for none.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (l *runsList) json(w io.Writer, runs []listedRun, next int64) error {
	out := struct {
		Runs []jsonRun `json:"runs"`
		Next int64     `json:"next,omitempty"`
	}{Runs: make([]jsonRun, len(runs)), Next: next}
	for i, r := range runs {
		out.Runs[i] = newJSONRun(r)
	}
	return writeJSON(w, out)
}
