package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// runPage is the page of one run.
type runPage struct {
	Row        runRow
	Heading    string
	File       string
	Version    string
	Events     []eventLine
	MoreEvents int
	Attempts   []attemptTab
	Chosen     *attemptView
	Acts       []string
	Holds      []string
	Help       string // what helps
	CauseID    string
	Others     int // other dead letters of the cause
	Later      int64
	LaterText  string
	Joined     int64 // the number that the address has, if the run has joined another
	CanReplay  bool
	CanDiscard bool
	End        string
	Inputs     []pair
	Source     []sourceLine
	SourceFile string
	Tries      string
	Did        string
	Refused    string
}

type eventLine struct {
	ID   int64
	At   time.Time
	Code string
}

type attemptTab struct {
	Number int
	At     time.Time
	Chosen bool
	Bad    bool
}

// attemptView is an attempt with its steps.
type attemptView struct {
	Number   int
	Started  time.Time
	Took     time.Duration
	Outcome  string
	Error    string
	Cut      bool
	DryRun   bool
	More     int
	Terms    []history.Term
	Commands []commandView
	Steps    []stepView
	Follows  []string
}

// stepView is a step in the timeline.
type stepView struct {
	N          int
	Name       string
	Action     string
	Line       int
	Class      string // of the list item: bad, skip2
	At         string // +0.060
	Took       time.Duration
	Writes     int
	Calls      int
	X, Width   int // of the bar, in thousandths
	Skipped    string
	Terms      []history.Term
	Summary    string
	Args       []pair
	Rows       int
	MoreRows   int
	Notes      []string
	Result     string
	Commands   []commandView
	Changes    []dryrun.Change
	Error      string
	HasDetails bool
}

type commandView struct {
	Method, Params, Result, Error string
	Write, Cut                    bool
	Took                          time.Duration
	Rows, Batch                   int
}

type pair struct{ Name, Value string }

type sourceLine struct {
	N     int
	Text  string
	Hot   bool
	Caret string // below the text
}

// foundRun reads the run of the address, if the user sees its portal.
func (c *Console) foundRun(q *request) (*report.Run, int64, error) {
	id, err := q.id(mux.Vars(q.Request)["id"], "problem.run")
	if err != nil {
		return nil, 0, err
	}
	r, err := report.ReadRun(q.Context(), c.Queue, id)
	if errors.Is(err, queue.ErrNoRun) || err == nil && !q.user.Sees(r.Listed.Portal) {
		return nil, 0, &problem{status: http.StatusNotFound, key: "problem.run", args: []any{strconv.FormatInt(id, 10)}}
	}
	return r, id, err
}

func (c *Console) run(q *request) (*page, error) {
	r, id, err := c.foundRun(q)
	if err != nil {
		return nil, err
	}
	if q.user.NoRecords {
		withoutRecords(r)
	}
	for i := range r.Events {
		r.Events[i].Data = c.hideData(q, r.Events[i].Data)
	}
	known := c.knownPortals()
	zone, _ := known.Zone(r.Listed.Portal)
	v := runPage{Row: q.runRow(&r.Listed, known), Did: q.did(), Refused: q.refused(r)}
	if r.Listed.ID != id {
		v.Joined = id
	}
	chosen := len(r.Attempts) - 1
	if text := q.FormValue("attempt"); text != "" {
		n, err := strconv.Atoi(text)
		chosen = slices.IndexFunc(r.Attempts, func(a report.Attempt) bool { return err == nil && a.Number == n })
		if chosen < 0 {
			var there []string
			for _, a := range r.Attempts {
				there = append(there, strconv.Itoa(a.Number))
			}
			return nil, &problem{status: http.StatusNotFound, key: "problem.attempt", args: []any{text}, there: there, under: fmt.Sprintf("/runs/%d?attempt=", r.Listed.ID)}
		}
	}
	for i, a := range r.Attempts {
		v.Attempts = append(v.Attempts, attemptTab{a.Number, a.Started.In(zone), i == chosen, a.Error != ""})
	}
	const mostEvents = 5
	events := r.Events
	if len(events) > mostEvents {
		v.MoreEvents = len(events) - mostEvents
		events = events[v.MoreEvents:]
	}
	for _, e := range events {
		v.Events = append(v.Events, eventLine{e.ID, e.Received.In(zone), e.Code})
	}
	failed := 0
	if chosen >= 0 {
		a := r.Attempts[chosen]
		v.Chosen = q.attempt(a, zone)
		if a.Trace != nil {
			v.File, v.Version = a.Trace.File, a.Trace.Version
			v.Inputs = pairs(a.Trace.Inputs)
			failed = failedStep(a.Trace)
			if err := c.addSource(q, &v, a.Trace, failed); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range r.Acts {
		v.Acts = append(v.Acts, q.act(a, zone))
	}
	for _, p := range r.Pauses {
		v.Holds = append(v.Holds, report.PauseText(p, zone))
	}
	for _, h := range r.Holds {
		v.Holds = append(v.Holds, report.HoldText(h, zone))
	}
	state := r.Listed.State
	v.CanReplay = state == journal.Parked || state == journal.Discarded
	v.CanDiscard = state == journal.Parked || state == journal.Waiting || state == journal.Asleep
	v.Tries = q.t("run.tries", r.Listed.Number(), r.Listed.Earlier+r.Listed.MaxAttempts)
	if r.Listed.Number() == 0 {
		v.Tries = q.t("run.tries.none")
	}
	v.Heading = q.runHeading(r, failed, zone)
	v.End = q.runEnd(r, zone)
	if err := c.addCause(q, &v, r, known); err != nil {
		return nil, err
	}
	if l := r.Later; l != nil {
		v.Later, v.LaterText = l.ID, q.t("run.later."+laterWord(l.State), l.ID)
		if r.Newer > 1 {
			v.LaterText = q.n("newerOfEntity", r.Newer) + " " + v.LaterText
		}
	}
	return &page{
		template: "run", section: "runs", title: v.Heading, data: v, zone: zone, command: fmt.Sprintf("b24rules runs show %d", r.Listed.ID),
		json: func(w io.Writer) error { return report.WriteRun(w, "json", r, report.RunOptions{Known: known}) },
	}, nil
}

func laterWord(s journal.State) string {
	if s == journal.Succeeded {
		return "good"
	}
	return "other"
}

// withoutRecords removes what has data of customers.
func withoutRecords(r *report.Run) {
	for i := range r.Attempts {
		a := &r.Attempts[i]
		a.Record, a.Trace = nil, withoutData(a.Trace)
	}
	r.Listed.Record = withoutData(r.Listed.Record)
}

// withoutData keeps of a record what the rule did: its steps, and how many writes there were.
func withoutData(r *history.Record) *history.Record {
	if r == nil {
		return nil
	}
	out := *r
	out.Inputs, out.Commands, out.Steps, out.When = nil, hideCommands(r.Commands), slices.Clone(r.Steps), nil
	for i := range out.Steps {
		s := &out.Steps[i]
		s.Args, s.Result, s.Notes, s.When, s.Commands = nil, nil, nil, nil, hideCommands(s.Commands)
	}
	return &out
}

func hideCommands(all []history.CommandRecord) []history.CommandRecord {
	out := slices.Clone(all)
	for i := range out {
		out[i].Params, out[i].Result = nil, nil
	}
	return out
}

// failedStep is the number of the step that failed, 0 if none did.
func failedStep(t *history.Record) int {
	for i, s := range t.Steps {
		if s.Error != "" {
			return i + 1
		}
	}
	return 0
}

// runHeading answers in one sentence what became of a run.
func (q *request) runHeading(r *report.Run, failed int, zone *time.Location) string {
	l := &r.Listed
	switch l.State {
	case journal.Parked:
		known := cause.Parse(l.Cause)
		title := q.causeTitle(known)
		switch {
		case l.Cause == "":
			title = report.OneLine(l.Failure())
		case known.Kind == cause.Formula && failed > 0: // the number of the step says where it is
			title = q.t("run.formula", failureOf(l))
		}
		if failed > 0 {
			return q.t("run.parked.step", l.ID, failed, title)
		}
		return q.t("run.parked", l.ID, title)
	case journal.Succeeded:
		if l.Record == nil {
			return q.t("run.unknown", l.ID)
		}
		if l.Record.Writes > 0 {
			return q.t("run.wrote", l.ID, q.n("writes", l.Record.Writes))
		}
		if l.Record.Outcome != history.Done {
			return q.t("run.ended", l.ID, q.t("outcome."+string(l.Record.Outcome)))
		}
		return q.t("run.nothing", l.ID)
	case journal.Waiting:
		if l.Error != "" {
			return q.t("run.retrying", l.ID, report.OneLine(l.Failure()))
		}
		switch {
		case len(r.Pauses) > 0:
			return q.t("run.waits.paused", l.ID)
		case len(r.Holds) > 0:
			return q.t("run.waits.held", l.ID)
		}
		return q.t("run.waits", l.ID, q.runWhat(l, zone))
	case journal.Asleep:
		return q.t("run.sleeps", l.ID, q.recent(l.Due.In(zone)))
	}
	_, word := q.runState(l)
	return q.t("run.state", l.ID, word)
}

// failureOf is the failure of a run without its step.
func failureOf(l *report.Listed) string {
	text := report.OneLine(l.Failure())
	if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "step ") {
		return rest
	}
	return text
}

// runEnd says what comes next.
func (q *request) runEnd(r *report.Run, zone *time.Location) string {
	l := &r.Listed
	switch l.State {
	case journal.Parked:
		return q.t("end.parked", l.Entity)
	case journal.Discarded:
		return q.t("end.discarded")
	case journal.Succeeded:
		return q.t("end.done", span(q.lang, l.Finished.Sub(l.First)))
	}
	return q.runWhat(l, zone)
}

func (q *request) act(a journal.Act, zone *time.Location) string {
	at := a.At.In(zone).Format("2006-01-02 15:04:05")
	if a.Action == journal.JoinedByRun {
		return q.t("act.joined", a.Joined, at)
	}
	return q.t("act."+string(a.Action), at, report.OneLine(a.Who))
}

// addCause adds what helps, and how many others failed because of the same.
func (c *Console) addCause(q *request, v *runPage, r *report.Run, known report.Known) error {
	l := r.Listed
	if l.Cause == "" || l.State != journal.Parked && l.Error == "" {
		return nil
	}
	counts, err := journal.Causes(q.Context(), c.Queue.Database(), journal.Filter{Cause: l.Cause, Portals: q.user.Portals, States: []journal.State{journal.Parked}})
	if err != nil {
		return err
	}
	v.CauseID = cause.ID(l.Cause)
	for _, n := range counts {
		v.Others += n.Runs
	}
	if l.State == journal.Parked {
		v.Others--
	}
	v.Help = q.advice(cause.Parse(l.Cause), cause.Where{Portal: l.Portal, Config: known.Portals[l.Portal].Place, Rule: r.Listed.Place()})
	return nil
}

// attempt is an attempt with the times of its steps.
func (q *request) attempt(a report.Attempt, zone *time.Location) *attemptView {
	v := &attemptView{Number: a.Number, Started: a.Started.In(zone), Took: a.Finished.Sub(a.Started), Outcome: q.t("attempt." + string(a.Outcome)), Error: a.Error}
	t := a.Trace
	if t == nil {
		return v
	}
	v.Cut, v.DryRun, v.More, v.Terms, v.Follows = t.Cut, t.DryRun, t.More, t.When, t.Follows
	v.Commands = commands(t.Commands)
	changes := report.Changes(t)
	var total, at time.Duration
	for _, s := range t.Steps {
		total += s.Took
	}
	if len(t.Steps) > 0 && t.Steps[len(t.Steps)-1].Error != "" {
		v.Error = "" // the step shows it
	}
	for i, s := range t.Steps {
		one := stepView{
			N: i + 1, Name: s.Step, Action: s.Action, Line: s.Line, Took: s.Took, Calls: s.Calls, Writes: s.Writes, Skipped: s.Skipped,
			Terms: s.When, Rows: s.Rows, Notes: s.Notes, Error: s.Error, Commands: commands(s.Commands), Changes: changes[i],
			At: fmt.Sprintf("+%.3f", at.Seconds()),
		}
		if strings.HasPrefix(s.Step, s.Action) {
			one.Name = ""
		}
		switch {
		case s.Error != "":
			one.Class = "bad"
		case s.Skipped != "":
			one.Class = "skip2"
		}
		if s.Skipped == "when is false" {
			one.Skipped = q.t("run.skipped.when")
		}
		if total > 0 && s.Skipped == "" {
			one.X, one.Width = int(at*1000/total), int(s.Took*1000/total)
		}
		for _, args := range s.Args {
			label := ""
			if s.Rows > 0 {
				label = q.t("run.row", args.Row+1) + " "
			}
			for _, p := range pairs(args.Values) {
				one.Args = append(one.Args, pair{label + p.Name, p.Value})
			}
		}
		one.MoreRows = max(s.Rows-len(s.Args), 0)
		if len(s.Args) == 0 {
			one.MoreRows = 0
		}
		if s.Result != nil {
			one.Result = valueText(s.Result)
			one.Summary = q.resultSummary(s.Result)
		}
		one.HasDetails = len(one.Args)+len(one.Commands)+len(one.Notes) > 0 || one.Result != ""
		v.Steps = append(v.Steps, one)
		at += s.Took
	}
	return v
}

// resultSummary is a result in a few words.
func (q *request) resultSummary(v any) string {
	switch x := v.(type) {
	case []any:
		return q.n("rows", len(x))
	case map[string]any:
		var parts []string
		for _, name := range slices.SortedFunc(maps.Keys(x), func(a, b string) int {
			return cmp.Or(foremost(b)-foremost(a), strings.Compare(a, b))
		}) {
			switch x[name] {
			case nil, "", false:
				continue
			}
			parts = append(parts, name+": "+valueText(x[name]))
		}
		return cutText(strings.Join(parts, ", "), 100)
	}
	return cutText(valueText(v), 100)
}

// foremost is higher for the names that say most.
func foremost(name string) int {
	names := []string{"stageId", "opportunity", "title", "NAME", "id", "ID"}
	return slices.Index(names, name) + 1
}

func commands(all []history.CommandRecord) []commandView {
	out := make([]commandView, len(all))
	for i, c := range all {
		out[i] = commandView{c.Method, compact(c.Params), compact(c.Result), c.Error, c.Write, c.Cut, c.Took, c.Rows, c.Batch}
	}
	return out
}

// compact is JSON in one line, without the escapes of HTML.
func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

func pairs(m map[string]any) []pair {
	out := make([]pair, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{name, valueText(m[name])})
	}
	return out
}

// valueText is a value as a person reads it: text without quotes, everything else as JSON.
func valueText(v any) string {
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

func cutText(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}

// addSource adds the lines of the rule file around the step that failed, or the first one.
func (c *Console) addSource(q *request, v *runPage, t *history.Record, failed int) error {
	if failed == 0 {
		return nil
	}
	text, ok, err := fleet.NewStore(c.Queue.Database()).Text(q.Context(), t.Version)
	if err != nil || !ok {
		return err
	}
	line, column := t.Steps[failed-1].Line, 0
	if rest, ok := strings.CutPrefix(t.Steps[failed-1].Error, t.File+":"); ok { // the error knows better where it is
		if _, err := fmt.Sscanf(rest, "%d:%d:", &line, &column); err != nil {
			line, column = t.Steps[failed-1].Line, 0
		}
	}
	lines := strings.Split(strings.TrimRight(text.Text, "\n"), "\n")
	const around = 3
	for n := max(line-around, 1); n <= min(line+around, len(lines)); n++ {
		one := sourceLine{N: n, Text: c.hide(strings.TrimRight(lines[n-1], "\r")), Hot: n == line}
		if one.Hot && column > 0 && column < 500 {
			one.Caret = strings.Repeat(" ", column-1) + "^"
		}
		v.Source = append(v.Source, one)
	}
	if column == 0 { // otherwise the error says it
		v.SourceFile = fmt.Sprintf("%s:%d", t.File, line)
	}
	return nil
}

// refused says that a form came too late: somebody else was faster.
func (q *request) refused(r *report.Run) string {
	switch q.URL.Query().Get("refused") {
	case "replay":
		_, word := q.runState(&r.Listed)
		who := ""
		for _, a := range slices.Backward(r.Acts) {
			if a.Who != "" {
				who = q.act(a, q.now.Location())
				break
			}
		}
		return strings.TrimSpace(q.t("refused.state", word) + " " + who)
	}
	return ""
}
