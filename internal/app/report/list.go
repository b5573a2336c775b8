package report

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Listed is a run with the record of its last attempt.
type Listed struct {
	journal.Run
	Took   time.Duration
	Record *history.Record // nil without one
}

// List reads the records of the last attempts of runs.
func List(ctx context.Context, q *queue.Queue, runs []journal.Run) ([]Listed, error) {
	var ids []int64
	for _, r := range runs {
		if r.Number() > 0 || r.Error != "" || r.State == journal.Succeeded {
			ids = append(ids, r.ID)
		}
	}
	last, err := journal.LastAttempts(ctx, q.Database(), ids)
	if err != nil {
		return nil, err
	}
	out := make([]Listed, len(runs))
	for i, r := range runs {
		out[i].Run = r
		a, ok := last[r.ID]
		if !ok {
			continue
		}
		out[i].Took = a.Finished.Sub(a.Started)
		if a.Record != nil {
			// The run is listed even if its record cannot be read.
			out[i].Record, _ = history.ReadRecord(a.Record)
		}
	}
	return out, nil
}

// When returns the most relevant time of a run. It is never in the future.
func (r *Listed) When() time.Time {
	switch {
	case r.State == journal.Asleep && !r.Event.Received.IsZero():
		return r.Event.Received // First is when it wakes up
	case !r.Finished.IsZero():
		return r.Finished
	case !r.Started.IsZero():
		return r.Started
	}
	return r.First
}

// what describes the result of a run in a few words.
func (r *Listed) what(dateTime func(time.Time) string) string {
	switch r.State {
	case journal.Waiting:
		if r.Blocked {
			return "another run of the entity is running"
		}
		text := "due " + dateTime(r.Due)
		if r.Error != "" {
			text += ", failed before: " + r.Failure()
		}
		return text
	case journal.Asleep:
		return "until " + dateTime(r.Due)
	case journal.Succeeded:
		if r.Record == nil {
			return ""
		}
		text := string(r.Record.Outcome)
		if r.Record.Writes > 0 {
			text += ", " + Plural(r.Record.Writes, "write", "writes")
		}
		return text + ", " + Span(r.Took)
	}
	return r.Failure()
}

// Failure returns the error without the place and the rule, which other columns
// have.
func (r *Listed) Failure() string {
	text := OneLine(r.Error)
	if _, rest, ok := strings.Cut(text, ": rule "+r.Rule+", "); ok {
		return rest
	}
	return strings.TrimPrefix(text, "rule "+r.Rule+": ")
}

func stateColour(state journal.State) string {
	switch state {
	case journal.Succeeded:
		return green
	case journal.Parked:
		return red
	case journal.Running:
		return yellow
	case journal.Discarded:
		return dim
	}
	return cyan
}

// WriteList prints runs; format is text or json. next is the value of --before for
// the next page, 0 without a next page.
func WriteList(w io.Writer, format string, runs []Listed, next int64, known Known) error {
	if format == "json" {
		return writeListJSON(w, runs, next)
	}
	s := newSheet(w, nil)
	s.listRuns(runs, known)
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *sheet) listRuns(runs []Listed, known Known) {
	portals := make([]string, len(runs))
	for i, r := range runs {
		portals[i] = r.Portal
	}
	dateTime := s.timesOf(known, portals)
	t := table{rows: [][]string{{"RUN", "STATE", "WHEN", "PORTAL", "RULE", "ENTITY", "TRIES", "WHAT"}}, same: 3, cut: []int{4, 3, 5}}
	for i := range runs {
		r := &runs[i]
		t.rows = append(t.rows, []string{
			fmt.Sprint(r.ID), string(r.State), dateTime(r.Portal, r.When()), OneLine(r.Portal), OneLine(r.Rule), OneLine(r.Entity),
			fmt.Sprintf("%d/%d", r.Number(), r.Earlier+r.MaxAttempts), r.what(func(at time.Time) string { return dateTime(r.Portal, at) }),
		})
	}
	t.whole = func(row int) bool { return row > 0 && runs[row-1].Error != "" }
	t.paint = func(row int, line string) string { return s.painted(row, runs, line) }
	s.table(t)
}

// painted colours the state in a line of the list.
func (s *sheet) painted(row int, runs []Listed, line string) string {
	state := string(runs[row-1].State)
	before, after, found := strings.Cut(line, state)
	if !found {
		return line
	}
	return before + s.in(stateColour(journal.State(state)), state) + after
}

// runJSON is the JSON form of a run.
type runJSON struct {
	ID          int64      `json:"id"`
	Portal      string     `json:"portal"`
	Rule        string     `json:"rule"`
	Entity      string     `json:"entity"`
	State       string     `json:"state"`
	Reason      string     `json:"reason,omitempty"` // of waiting: blocked
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
	Cause       string     `json:"cause,omitempty"` // for --cause
	// Of the last attempt.
	Outcome string  `json:"outcome,omitempty"`
	Version string  `json:"version,omitempty"`
	Calls   int     `json:"calls,omitempty"`
	Writes  int     `json:"writes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

func newRunJSON(r Listed) runJSON {
	out := runJSON{
		ID: r.ID, Portal: r.Portal, Rule: r.Rule, Entity: r.Entity, State: string(r.State), Priority: r.Priority.String(),
		Added: r.Added, Deleted: r.Deleted, Events: r.Count, Attempt: r.Number(), MaxAttempts: r.Earlier + r.MaxAttempts,
		First: stamp(r.First), Due: stamp(r.Due), NotBefore: stamp(r.NotBefore), Started: stamp(r.Started), Finished: stamp(r.Finished),
		Error: r.Error, Seconds: r.Took.Seconds(),
	}
	if r.Blocked {
		out.Reason = string(journal.Blocked)
	}
	if r.Cause != "" {
		out.Cause = cause.ID(r.Cause)
	}
	if r.Record != nil {
		out.Outcome, out.Version, out.Calls, out.Writes = string(r.Record.Outcome), r.Record.Version, r.Record.Calls, r.Record.Writes
	}
	return out
}

func writeListJSON(w io.Writer, runs []Listed, next int64) error {
	out := struct {
		Runs []runJSON `json:"runs"`
		Next int64     `json:"next,omitempty"`
	}{Runs: make([]runJSON, len(runs)), Next: next}
	for i, r := range runs {
		out.Runs[i] = newRunJSON(r)
	}
	return WriteJSON(w, out)
}
