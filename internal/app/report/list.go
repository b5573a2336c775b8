package report

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/queue"
)

// Listed is a run with the record of its last attempt.
type Listed struct {
	queue.Info
	Took   time.Duration
	Record *history.Record // nil without one
}

// List reads the record of the last attempt of a run.
func List(ctx context.Context, q *queue.Queue, r queue.Info) (Listed, error) {
	out := Listed{Info: r}
	if r.Attempt == 0 && r.Error == "" && r.State != queue.Succeeded {
		return out, nil
	}
	attempts, err := q.Attempts(ctx, r.ID)
	if err != nil || len(attempts) == 0 {
		return out, err
	}
	last := attempts[len(attempts)-1]
	out.Took = last.Finished.Sub(last.Started)
	if last.Record != nil {
		// The run is listed even if its record cannot be read.
		out.Record, _ = history.ReadRecord(last.Record)
	}
	return out, nil
}

// when returns the most relevant time of a run.
func (r *Listed) when() time.Time {
	switch {
	case !r.Finished.IsZero():
		return r.Finished
	case !r.Started.IsZero():
		return r.Started
	}
	return r.First
}

// what describes the result of a run in a few words.
func (r *Listed) what(s *sheet) string {
	switch r.State {
	case queue.Waiting:
		if r.Blocked {
			return "another run of the entity is running"
		}
		text := "due " + s.dateTime(r.Due)
		if r.Error != "" {
			text += ", failed before: " + r.failure()
		}
		return text
	case queue.Succeeded:
		if r.Record == nil {
			return ""
		}
		text := string(r.Record.Outcome)
		if r.Record.Writes > 0 {
			text += ", " + Plural(r.Record.Writes, "write", "writes")
		}
		return text + ", " + Span(r.Took)
	}
	return r.failure()
}

// failure returns the error without the place and the rule, which other columns
// have.
func (r *Listed) failure() string {
	text := OneLine(r.Error)
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
	case queue.Running:
		return yellow
	case queue.Discarded:
		return dim
	}
	return cyan
}

// WriteList prints runs; format is text or json. next is the value of --before for
// the next page, 0 without a next page.
func WriteList(w io.Writer, format string, runs []Listed, next int64) error {
	if format == "json" {
		return writeListJSON(w, runs, next)
	}
	s := newSheet(w)
	head := []string{"RUN", "STATE", "WHEN", "PORTAL", "RULE", "ENTITY", "TRIES", "WHAT"}
	rows := [][]string{head}
	for i := range runs {
		r := &runs[i]
		rows = append(rows, []string{
			fmt.Sprint(r.ID), string(r.State), s.dateTime(r.when()), OneLine(r.Portal), OneLine(r.Rule), OneLine(r.Entity),
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
					cell = Fit(cell, max(s.width-utf8.RuneCountInString(line), 4))
				}
				line += cell
			default:
				cell = Fit(cell, widths[c])
				line += cell + spaces(widths[c]+2-utf8.RuneCountInString(cell))
			}
		}
		s.WriteString(painted(s, i, runs, line) + "\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// painted colours the state in a line of the table.
func painted(s *sheet, i int, runs []Listed, line string) string {
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

// columnWidths makes the columns as wide as their content. On a narrow terminal it
// cuts them, so that some room is left for the last one, and omits the portal if all
// runs have the same.
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
		Added: r.Added, Deleted: r.Deleted, Events: r.Count, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts,
		First: stamp(r.First), Due: stamp(r.Due), NotBefore: stamp(r.NotBefore), Started: stamp(r.Started), Finished: stamp(r.Finished),
		Error: r.Error, Seconds: r.Took.Seconds(),
	}
	if r.Blocked {
		out.Reason = string(queue.Blocked)
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
