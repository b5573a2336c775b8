package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/journal"
)

// RunOptions configure WriteRun.
type RunOptions struct {
	// Verbose shows the steps of all attempts, parameters and answers.
	Verbose bool
	// Attempt is the number of the attempt whose steps are shown; 0 means the last.
	Attempt int
	// ConfigFlag is added to the commands that the text recommends, such as
	// " --config FILE".
	ConfigFlag string
	Known      Known
}

// WriteRun prints a run; format is text or json.
func WriteRun(w io.Writer, format string, r *Run, o RunOptions) error {
	if format == "json" {
		return WriteJSON(w, r.json())
	}
	t := &runWriter{sheet: newSheet(w, o.Known.zone(r.Listed.Portal)), options: o}
	t.run(r)
	_, err := io.WriteString(w, t.String())
	return err
}

// runWriter prints a run for people.
type runWriter struct {
	*sheet
	options RunOptions
}

func (t *runWriter) run(st *Run) {
	r := st.Listed
	fmt.Fprintf(t, "%s %s  %s for %s of portal %s\n", t.in(bold, fmt.Sprintf("run %d", r.ID)),
		t.in(stateColour(r.State), string(r.State)), t.in(bold, OneLine(r.Rule)), t.in(bold, OneLine(r.Entity)), OneLine(r.Portal))
	if r.Record != nil {
		t.headLine("rule", fmt.Sprintf("%s, version %s", r.Record.File, r.Record.Version))
	}
	if r.Record != nil && r.Record.DryRun {
		t.headLine("mode", "shadow: the portal received no write of this run")
	}
	t.headLine("events", t.eventsText(st))
	t.headLine("times", "in "+ZoneName(t.now))
	t.headLine("attempts", t.attemptsText(r))
	t.headLine("", t.timesText(r))
	for i, a := range st.Acts {
		name := "changes"
		if i > 0 {
			name = ""
		}
		t.headLine(name, t.actText(a))
	}
	for _, p := range st.Pauses {
		t.headLine("paused", PauseText(p, t.now.Location()))
	}
	for _, h := range st.Holds {
		t.headLine("waits", HoldText(h, t.now.Location()))
	}
	if r.Error != "" {
		t.headLine("error", t.in(red, ""))
		t.error(r.Error, 11)
	}
	for i, a := range st.Attempts {
		t.attempt(a, t.showsSteps(st, i))
	}
	t.next(st)
}

// headLine prints a line of the head.
func (t *runWriter) headLine(name, text string) {
	if name == "error" {
		fmt.Fprintf(t, "  %-9s", name)
		return
	}
	if text == "" {
		return
	}
	fmt.Fprintf(t, "  %-9s", name)
	t.wrapped(11, text)
}

// attemptsText counts the attempts, and those before the run last started over.
func (t *runWriter) attemptsText(r Listed) string {
	text := fmt.Sprintf("%d of %d", r.Number(), r.Earlier+r.MaxAttempts)
	if r.Earlier > 0 {
		text += fmt.Sprintf(", %d of them before it last started over", r.Earlier)
	}
	return text
}

// actText describes an action on the run.
func (t *runWriter) actText(a journal.Act) string {
	if a.Action == journal.JoinedByRun {
		return fmt.Sprintf("joined by run %d at %s", a.Joined, t.dateTime(a.At))
	}
	text := string(a.Action) + " at " + t.dateTime(a.At)
	if a.Who != "" {
		text += " by " + OneLine(a.Who)
	}
	return text
}

// error prints an error at the cursor.
func (t *runWriter) error(text string, indent int) {
	if t.paint {
		t.WriteString("\x1b[" + red + "m")
	}
	t.wrapped(indent, text)
	if t.paint {
		t.WriteString("\x1b[0m")
	}
}

// eventsText lists the latest events.
func (t *runWriter) eventsText(st *Run) string {
	const most = 5
	var parts []string
	for i, e := range slices.Backward(st.Events) {
		if len(parts) == most {
			parts = append(parts, fmt.Sprintf("and %d earlier", i+1))
			break
		}
		parts = append(parts, fmt.Sprintf("%s at %s", OneLine(e.Code), t.dateTime(e.Received)))
	}
	text := strings.Join(parts, ", ")
	if n := len(st.Events); n > 1 {
		text = fmt.Sprintf("%d: %s", n, text)
	}
	switch {
	case st.Listed.Deleted:
		text += "; the entity is deleted"
	case st.Listed.Added:
		text += "; the entity is new"
	}
	return text
}

func (t *runWriter) timesText(r Listed) string {
	switch r.State {
	case journal.Waiting:
		if r.Blocked {
			return "waits for another run of " + r.Entity
		}
		text := "starts at " + t.dateTime(r.Due)
		if !r.NotBefore.IsZero() {
			text += ", at the request of the portal"
		}
		return text
	case journal.Asleep:
		return "sleeps until " + t.dateTime(r.Due) + ", a time of its rule"
	case journal.Running:
		return fmt.Sprintf("since %s, %s ago", t.dateTime(r.Started), Span(t.now.Sub(r.Started)))
	case journal.Succeeded, journal.Parked, journal.Discarded:
	}
	return fmt.Sprintf("ended at %s, %s after the first event", t.dateTime(r.Finished), Span(r.Finished.Sub(r.First)))
}

// showsSteps reports whether the steps of an attempt are printed.
func (t *runWriter) showsSteps(st *Run, i int) bool {
	switch {
	case t.options.Attempt != 0:
		return st.Attempts[i].Number == t.options.Attempt
	case t.options.Verbose:
		return true
	}
	return i == len(st.Attempts)-1
}

func (t *runWriter) attempt(a Attempt, steps bool) {
	took := a.Finished.Sub(a.Started)
	line := fmt.Sprintf("at %s, %s", t.dateTime(a.Started), Span(took))
	if a.Trace != nil {
		line += fmt.Sprintf(", %s, %s", Plural(a.Trace.Calls, "command", "commands"), Plural(a.Trace.Writes, "write", "writes"))
		if a.Trace.Outcome != "" {
			line += ", " + string(a.Trace.Outcome)
		}
	}
	fmt.Fprintf(t, "\n%s %s  %s\n", t.in(bold, fmt.Sprintf("attempt %d", a.Number)), t.in(outcomeColour(a.Outcome), string(a.Outcome)), line)
	if !steps || a.Trace == nil {
		if a.Error != "" {
			t.WriteString("  ")
			t.error(a.Error, 2)
		}
		return
	}
	if len(a.Trace.Inputs) > 0 && t.options.Verbose {
		t.WriteString("  inputs  ")
		t.wrapped(10, values(a.Trace.Inputs))
	}
	t.terms(a.Trace.When)
	for _, c := range a.Trace.Commands {
		t.command(c, a.Trace.Brief)
	}
	changes := Changes(a.Trace)
	for i, s := range a.Trace.Steps {
		t.step(i+1, s, a.Trace.Brief, changes[i])
	}
	for _, f := range a.Trace.Follows {
		fmt.Fprintf(t, "  > %s\n", f)
	}
	if a.Trace.More > 0 {
		fmt.Fprintf(t, "  %s\n", t.in(dim, fmt.Sprintf("and %s that the record omits", Plural(a.Trace.More, "command", "commands"))))
	}
	if a.Trace.Cut {
		fmt.Fprintf(t, "  %s\n", t.in(dim, "the record is cut: history.record in the configuration limits its size"))
	}
	if n := len(a.Trace.Steps); a.Error != "" && (n == 0 || a.Trace.Steps[n-1].Error == "") {
		t.WriteString("  ")
		t.error(a.Error, 2)
	}
}

// terms prints the parts of a condition that was false.
func (t *runWriter) terms(all []history.Term) {
	for _, term := range all {
		text := term.Text + " is false"
		switch {
		case term.Unread && term.True:
			text = term.Text + " was not needed; it is true"
		case term.Unread:
			text = term.Text + " was not needed; it is false too"
		case term.True:
			text = term.Text + " is true"
		}
		if len(term.Values) > 0 {
			text += ": " + strings.Join(term.Values, ", ")
		}
		t.detail("when", text)
	}
}

// changed prints the fields of a record that a step has changed, each with its value before.
func (t *runWriter) changed(c dryrun.Change) {
	if c.Kind != dryrun.ChangeUpdate || len(c.Fields) == 0 {
		return // the parameters say what was added
	}
	t.detail("changed", c.Record+" "+c.Title)
	for _, f := range c.Fields {
		t.detail("", "  "+f.Name+": "+fieldText(f.Before)+" -> "+fieldText(f.After))
	}
}

func outcomeColour(o journal.Outcome) string {
	switch o {
	case journal.OutcomeSucceeded:
		return green
	case journal.OutcomeFailed, journal.OutcomeParked:
		return red
	}
	return yellow
}

func (t *runWriter) step(n int, s history.StepRecord, brief bool, changes []dryrun.Change) {
	name := s.Step
	if !strings.HasPrefix(name, s.Action) {
		name += ": " + s.Action
	}
	line := fmt.Sprintf("line %d, %s", s.Line, Span(s.Took))
	if s.Skipped != "" {
		fmt.Fprintf(t, "  %d. %s  %s\n", n, t.in(bold, name), t.in(yellow, fmt.Sprintf("skipped: %s (line %d)", s.Skipped, s.Line)))
		t.terms(s.When)
		return
	}
	fmt.Fprintf(t, "  %d. %s  %s\n", n, t.in(bold, name), t.in(dim, line))
	for i, a := range s.Args {
		label := "with"
		if s.Rows > 0 {
			label = fmt.Sprintf("row %d", a.Row+1)
		} else if i > 0 {
			label = ""
		}
		t.named(label, a.Values)
	}
	if more := s.Rows - len(s.Args); s.Rows > 0 && more > 0 {
		t.detail("", fmt.Sprintf("and %s more", Plural(more, "row", "rows")))
	}
	t.commands(s.Commands, brief)
	for _, note := range s.Notes {
		t.detail("note", note)
	}
	t.result(s.Result)
	for _, c := range changes {
		t.changed(c)
	}
	if s.Error != "" {
		fmt.Fprintf(t, "     %-7s", "error")
		t.error(s.Error, 12)
	}
}

// named prints named values: on one line if they fit, else one per line.
func (t *runWriter) named(label string, m map[string]any) {
	all := values(m)
	if room := t.room(12); room == 0 || utf8.RuneCountInString(all) <= room || t.options.Verbose && len(m) < 2 {
		t.detail(label, all)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		text := name + ": " + value(m[name])
		if !t.options.Verbose {
			text = Fit(OneLine(text), t.room(12))
		}
		t.detail(label, text)
		label = ""
	}
}

// fewRows is how many rows of a result are printed without Verbose.
const fewRows = 5

// result prints the result of a step: one row per line, without empty values.
func (t *runWriter) result(v any) {
	rows, ok := v.([]any)
	if _, records := first(rows).(map[string]any); !ok || !records {
		if v != nil {
			t.detail("result", value(v))
		}
		return
	}
	label := "result"
	for i, row := range rows {
		if i == fewRows && len(rows) > fewRows && !t.options.Verbose {
			t.detail("", Plural(len(rows)-i, "row", "rows")+" more, -v shows them")
			return
		}
		text := value(row)
		if m, ok := row.(map[string]any); ok {
			if !t.options.Verbose {
				m = withoutEmpty(m)
			}
			text = values(m)
		}
		if !t.options.Verbose {
			text = Fit(OneLine(text), t.room(12))
		}
		t.detail(label, text)
		label = ""
	}
}

// first returns the first of a list, or the zero value of an empty one.
func first[T any](list []T) (one T) {
	if len(list) > 0 {
		one = list[0]
	}
	return one
}

// withoutEmpty returns a row without empty values.
func withoutEmpty(m map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range m {
		switch v {
		case nil, "", false, json.Number("0"):
			continue
		}
		out[name] = v
	}
	return out
}

// detail prints a part of a step, cut to two lines without Verbose.
func (t *runWriter) detail(label, text string) {
	if text == "" {
		return
	}
	if !t.options.Verbose && t.width > 0 {
		text = Fit(OneLine(text), 2*t.room(12)-10)
	}
	fmt.Fprintf(t, "     %-7s", label)
	t.wrapped(12, text)
}

// fewCommands is how many commands of a step are printed without Verbose.
const fewCommands = 12

func (t *runWriter) commands(cs []history.CommandRecord, brief bool) {
	for i, c := range cs {
		if !t.options.Verbose && i == fewCommands-1 && len(cs) > fewCommands {
			failed := 0
			for _, rest := range cs[i:] {
				if rest.Error != "" {
					failed++
					t.command(rest, brief)
				}
			}
			fmt.Fprintf(t, "     %s\n", t.in(dim, fmt.Sprintf("and %s more, -v shows them", Plural(len(cs)-i-failed, "command", "commands"))))
			return
		}
		t.command(c, brief)
	}
}

func (t *runWriter) command(c history.CommandRecord, brief bool) {
	sign, colour := "read", dim
	if c.Write {
		sign, colour = "write", yellow
	}
	line := fmt.Sprintf("%s  %s", c.Method, Span(c.Took))
	if c.Rows > 0 {
		line += ", " + Plural(c.Rows, "row", "rows")
	}
	if c.Batch > 1 {
		line += fmt.Sprintf(", in a batch of %d", c.Batch)
	}
	pad := strings.Repeat(" ", 7-len(sign))
	fmt.Fprintf(t, "     %s%s%s\n", t.in(colour, sign), pad, line)
	if params := compactJSON(c.Params); params != "" {
		t.data("", params)
	}
	if c.Error != "" {
		fmt.Fprintf(t, "            ")
		t.error(c.Error, 12)
	} else if t.options.Verbose && !brief {
		t.data("= ", compactJSON(c.Result))
		if c.Cut {
			fmt.Fprintf(t, "            %s\n", t.in(dim, fmt.Sprintf("a part is missing: the answer had %d bytes", c.Bytes)))
		}
	}
}

// data prints parameters or an answer: one line, or all with Verbose.
func (t *runWriter) data(sign, text string) {
	if text == "" {
		return
	}
	text = sign + OneLine(text)
	if !t.options.Verbose {
		text = Fit(text, t.room(12))
	}
	fmt.Fprintf(t, "            %s\n", t.in(dim, text))
}

func compactJSON(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "[]" || string(raw) == "{}" {
		return ""
	}
	return string(raw)
}

// foremost are the names that are printed first.
var foremost = []string{"id", "ID", "key", "title", "NAME", "productName", "quantity", "price"}

// values formats named values on one line.
func values(m map[string]any) string {
	parts := make([]string, 0, len(m))
	rank := func(name string) int {
		if i := slices.Index(foremost, name); i >= 0 {
			return i
		}
		return len(foremost)
	}
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
	})
	for _, name := range names {
		parts = append(parts, name+": "+value(m[name]))
	}
	return strings.Join(parts, ", ")
}

// value formats a value as compact JSON, text without quotes.
func value(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
