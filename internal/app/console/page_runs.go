package console

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
)

// searchFor is how long a page looks for rows that a filter without an index selects.
const searchFor = 150 * time.Millisecond

// pageRows is how many rows a page has.
const pageRows = 100

// filters are the fields of a form that selects runs or events, as they were sent.
type filters struct {
	Portal, Rule, Entity, State, Outcome, From, To, Q, Cause, Code, Met string
	Before                                                              string
	// Wrong says for each field that cannot be read what is wrong.
	Wrong map[string]string
}

func (q *request) filters() filters {
	get := func(name string) string { return strings.TrimSpace(q.FormValue(name)) }
	return filters{
		Portal: get("portal"), Rule: get("rule"), Entity: get("entity"), State: get("state"), Outcome: get("outcome"), From: get("from"), To: get("to"),
		Q: get("q"), Cause: get("cause"), Code: get("code"), Met: get("rule"), Before: get("before"), Wrong: map[string]string{},
	}
}

func (f filters) wrong(name string, err error) bool {
	if err == nil {
		return false
	}
	f.Wrong[name] = err.Error()
	return true
}

// zone is the zone of the portal, or that of all portals.
func (f filters) zone(known report.Known) *time.Location {
	zone, _ := known.Zone()
	if f.Portal != "" {
		zone, _ = known.Zone(f.Portal)
	}
	return zone
}

// times reads from and to in the zone of the portal.
func (c *Console) times(q *request, f filters) (from, to time.Time) {
	zone := f.zone(c.knownPortals())
	read := func(name, text string, end bool) time.Time {
		if text == "" {
			return time.Time{}
		}
		at, _, err := report.ParseTime(name, text, q.now.In(zone), end)
		f.wrong(name, err)
		return at
	}
	from, to = read("from", f.From, false), read("to", f.To, true)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		f.Wrong["to"] = q.t("filter.order")
	}
	return from, to
}

// portalFilter checks a portal: without a run or an event, an unknown name is a mistake.
func (c *Console) portalFilter(q *request, f filters) error {
	if f.Portal == "" || slices.Contains(c.portalNames(q), f.Portal) {
		return nil
	}
	if q.user.Sees(f.Portal) { // a removed portal has events
		last, err := journal.LastEvents(q.Context(), c.Queue.Database(), []string{f.Portal})
		if err != nil || !last[f.Portal].IsZero() {
			return err
		}
	}
	f.Wrong["portal"] = q.t("filter.portal", f.Portal)
	return nil
}

func (f filters) before(q *request) int64 {
	if f.Before == "" {
		return 0
	}
	n, err := strconv.ParseInt(f.Before, 10, 64)
	if err != nil || n <= 0 {
		f.Wrong["before"] = q.t("filter.before", f.Before)
	}
	return n
}

// runFilter converts the fields.
func (c *Console) runFilter(q *request, f filters) (journal.Filter, error) {
	out := journal.Filter{Portal: f.Portal, Portals: q.user.Portals, Rule: f.Rule, Text: f.Q, Limit: pageRows, Before: f.before(q)}
	if err := c.portalFilter(q, f); err != nil {
		return out, err
	}
	if f.Entity != "" {
		e, err := report.ParseEntity("entity", f.Entity)
		if !f.wrong("entity", err) {
			out.Entity = e.String()
		}
	}
	states, err := report.ParseStates("state", f.State)
	f.wrong("state", err)
	out.States = states
	out.Did, err = report.ParseOutcomes("outcome", f.Outcome)
	f.wrong("outcome", err)
	out.From, out.To = c.times(q, f)
	if f.Cause != "" {
		if out.Cause, err = report.FindCause(q.Context(), c.Queue, "cause", f.Cause); err != nil {
			if _, ok := err.(*report.FilterError); !ok { //nolint:errorlint // it is not wrapped
				return out, err
			}
			f.wrong("cause", err)
		}
	}
	return out, nil
}

// Any reports whether a field selects something.
func (f filters) Any() bool {
	return f.Portal+f.Rule+f.Entity+f.State+f.Outcome+f.From+f.To+f.Q+f.Cause+f.Code+f.Before != ""
}

// args are the flags of the command that selects the same runs.
func (f filters) args() string {
	var b strings.Builder
	for _, p := range [][2]string{{"portal", f.Portal}, {"rule", f.Rule}, {"entity", f.Entity}, {"state", f.State}, {"outcome", f.Outcome}, {"from", f.From}, {"until", f.To}, {"text", f.Q}, {"cause", f.Cause}} {
		if p[1] != "" {
			b.WriteString(" --" + p[0] + " " + quoted(p[1]))
		}
	}
	return b.String()
}

// quoted quotes a word for a shell, if it needs that.
func quoted(word string) string {
	if strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.,:/@", r))
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// runRow is a run in a list.
type runRow struct {
	ID                   int64
	At                   time.Time
	Day                  string // at the first row of a day
	Portal, Rule, Entity string
	Class, Word, What    string
	NoPortal             bool // the page is about one portal
}

// runRows reads what a list shows of runs.
func (c *Console) runRows(q *request, runs []journal.Run) ([]runRow, error) {
	known := c.knownPortals()
	listed, err := report.List(q.Context(), c.Queue, runs)
	if err != nil {
		return nil, err
	}
	out := make([]runRow, len(listed))
	for i := range listed {
		out[i] = q.runRow(&listed[i], known)
	}
	return out, nil
}

func (q *request) runRow(r *report.Listed, known report.Known) runRow {
	zone, _ := known.Zone(r.Portal)
	row := runRow{ID: r.ID, At: r.When().In(zone), Portal: r.Portal, Rule: r.Rule, Entity: r.Entity}
	row.Class, row.Word = q.runState(r)
	row.What = q.runWhat(r, zone)
	return row
}

// days adds the days as headings.
func (q *request) days(rows []runRow) []runRow {
	last := ""
	for i := range rows {
		if d := rows[i].At.Format(time.DateOnly); d != last {
			rows[i].Day, last = day(q.lang, rows[i].At), d
		}
	}
	return rows
}

// runState is the mark and the word of a run's state.
func (q *request) runState(r *report.Listed) (class, word string) {
	switch {
	case r.State == journal.Parked:
		return "bad", q.t("state.parked")
	case r.State == journal.Waiting && r.Error != "":
		return "warn", q.t("state.retrying")
	case r.State == journal.Running:
		return "run", q.t("state.running")
	case r.State == journal.Succeeded:
		return "ok", q.t("state.done")
	}
	return "off", q.t("state." + string(r.State))
}

// runWhat says what a run did or waits for.
func (q *request) runWhat(r *report.Listed, zone *time.Location) string {
	clock := func(at time.Time) string { return q.recent(at.In(zone)) }
	switch r.State {
	case journal.Waiting, journal.Blocked, journal.Queued:
		if r.Blocked {
			return q.t("what.blocked")
		}
		if r.Error != "" && r.Number() == 0 {
			return q.t("what.due", clock(r.Due)) + ": " + r.Failure() // no attempt counts, the portal was at fault
		}
		if r.Error != "" {
			return q.t("what.retry", r.Number(), r.Earlier+r.MaxAttempts, clock(r.Due), r.Failure())
		}
		return q.t("what.due", clock(r.Due))
	case journal.Asleep:
		return q.t("what.asleep", clock(r.Due))
	case journal.Running:
		return q.t("what.running", span(q.lang, q.now.Sub(r.Started)))
	case journal.Succeeded:
		if r.Record == nil {
			return q.t("what.unknown")
		}
		text := q.t("outcome." + cmp.Or(string(r.Record.Outcome), "done"))
		switch {
		case r.Record.Writes > 0:
			text = q.n("writes", r.Record.Writes)
		case r.Record.Outcome == "done":
			text = q.t("what.nothing")
		}
		if r.Record.DryRun {
			text = q.t("what.shadow") + ", " + text
		}
		return text + ", " + span(q.lang, r.Took)
	case journal.Parked, journal.Discarded:
	}
	return r.Failure()
}

// runsPage is the page of runs.
type runsPage struct {
	Heading    string
	Filters    filters
	Rows       []runRow
	Group      string // cause or day
	States     []option
	Outcomes   []option
	Older      string
	Back       time.Time
	IsSearched bool
	CauseTitle string
	Did        string
	// NotRecorded says that there are runs which a filter by outcome cannot find.
	NotRecorded bool
}

// option is a choice of a form.
type option struct {
	Value, Text string
	Chosen      bool
}

func (q *request) stateOptions(chosen string) []option {
	out := []option{{"", q.t("filter.any"), chosen == ""}}
	for _, s := range []string{"parked", "waiting", "blocked", "asleep", "running", "succeeded", "discarded"} {
		out = append(out, option{s, q.t("state." + s), chosen == s})
	}
	if chosen != "" && !slices.ContainsFunc(out, func(o option) bool { return o.Chosen }) {
		out = append(out, option{chosen, chosen, true}) // several states, or a mistake
	}
	return out
}

func (q *request) outcomeOptions(chosen string) []option {
	out := []option{{"", q.t("filter.any"), chosen == ""}}
	for _, o := range report.Outcomes {
		out = append(out, option{string(o), q.t("outcome." + string(o)), chosen == string(o)})
	}
	if chosen != "" && !slices.ContainsFunc(out, func(o option) bool { return o.Chosen }) {
		out = append(out, option{chosen, chosen, true}) // several, or a mistake
	}
	return out
}

// did is the message of what a form has done, which led to this page.
func (q *request) did() string {
	n, err := strconv.Atoi(q.URL.Query().Get("n"))
	if err != nil || n < 0 {
		n = 1
	}
	switch what := q.URL.Query().Get("did"); what {
	case "replayed", "discarded":
		return q.n("did."+what, n)
	case "paused", "resumed", "probed", "acknowledged", "read", "started":
		return q.t("did." + what)
	}
	return ""
}

func (c *Console) runs(q *request) (*page, error) {
	switch q.FormValue("group") {
	case "cause":
		return c.causes(q)
	case "day":
		return c.days(q)
	}
	f := q.filters()
	filter, err := c.runFilter(q, f)
	if err != nil {
		return nil, err
	}
	v := runsPage{Filters: f, States: q.stateOptions(f.State), Outcomes: q.outcomeOptions(f.Outcome), Did: q.did()}
	known := c.knownPortals()
	zone := f.zone(known)
	p := &page{template: "runs", section: "runs", zone: zone, command: "b24rules runs list" + f.args()}
	if len(f.Wrong) > 0 {
		v.Heading = q.t("filter.wrong")
		p.title, p.data, p.status, p.json = v.Heading, v, http.StatusBadRequest, q.wrongJSON(f)
		return p, nil
	}
	if f.Outcome != "" {
		if v.NotRecorded, err = journal.HasNotRecorded(q.Context(), c.Queue.Database()); err != nil {
			return nil, err
		}
	}
	found, err := journal.SearchRuns(q.Context(), c.Queue.Database(), filter, searchFor)
	if err != nil {
		return nil, err
	}
	listed, err := report.List(q.Context(), c.Queue, found.List)
	if err != nil {
		return nil, err
	}
	for i := range listed {
		v.Rows = append(v.Rows, q.runRow(&listed[i], known))
	}
	v.Rows = q.days(v.Rows)
	v.IsSearched, v.Back = found.Searched, found.Back.In(zone)
	if found.Next != 0 {
		v.Older = q.with("before", strconv.FormatInt(found.Next, 10))
	}
	if filter.Cause != "" {
		v.CauseTitle = q.causeTitle(cause.Parse(filter.Cause))
	}
	if v.Heading, err = c.runsHeading(q, f, v); err != nil {
		return nil, err
	}
	p.title, p.data = v.Heading, v
	p.json = func(w io.Writer) error { return report.WriteList(w, "json", listed, found.Next, known) }
	return p, nil
}

// runsHeading counts what is not over; what is over is not counted, because that reads all of it.
func (c *Console) runsHeading(q *request, f filters, v runsPage) (string, error) {
	if v.CauseTitle != "" {
		return q.t("runs.cause", v.CauseTitle), nil
	}
	other := f
	if other.Portal, other.Before = "", ""; other.Any() { // of a portal they are counted
		if len(v.Rows) == 0 {
			return q.t("runs.none"), nil
		}
		return q.t("runs.filtered"), nil
	}
	all, err := c.backlogs(q)
	if err != nil {
		return "", err
	}
	parked, waiting, running, asleep := 0, 0, 0, 0
	for _, b := range all {
		if f.Portal != "" && f.Portal != b.Portal {
			continue
		}
		switch b.State {
		case journal.Parked:
			parked += b.Runs
		case journal.Running:
			running += b.Runs
		case journal.Asleep:
			asleep += b.Runs
		default:
			waiting += b.Runs
		}
	}
	heading := q.t("runs.heading", q.n("deadLetters", parked), q.n("waiting", waiting), q.n("runningNow", running))
	if asleep > 0 {
		heading += ", " + q.n("asleep", asleep)
	}
	return heading, nil
}

// with is the address of this page with another value of a field.
func (q *request) with(name, value string) string {
	v := url.Values{}
	for key, values := range q.URL.Query() {
		if key != "did" && key != "n" && key != "lang" {
			v[key] = values
		}
	}
	v.Set(name, value)
	return q.URL.EscapedPath() + "?" + v.Encode()
}

func (q *request) wrongJSON(f filters) func(io.Writer) error {
	return jsonOf(struct {
		Type   string            `json:"type"`
		Title  string            `json:"title"`
		Status int               `json:"status"`
		Wrong  map[string]string `json:"wrong"`
	}{"about:blank", "a filter cannot be read", http.StatusBadRequest, f.Wrong})
}

// causeRow is a cause in a list.
type causeRow struct {
	report.Cause
	Heading, Detail, Help string
	FirstAt, LastAt       time.Time
}

// causeRows groups the runs that a filter selects by cause.
func (c *Console) causeRows(q *request, f journal.Filter) ([]causeRow, error) {
	known := c.knownPortals()
	all, err := report.ReadCauses(q.Context(), c.Queue, f, known)
	if err != nil {
		return nil, err
	}
	out := make([]causeRow, len(all))
	for i, one := range all {
		zone, _ := known.Zone(one.Portals...)
		row := causeRow{Cause: one, Heading: q.causeTitle(one.Parsed()), Help: q.advice(one.Parsed(), one.Where(known)), Detail: causeDetail(one.Parsed())}
		if one.First != nil {
			row.FirstAt = one.First.In(zone)
		}
		if one.Last != nil {
			row.LastAt = one.Last.In(zone)
		}
		out[i] = row
	}
	return out, nil
}

// causeDetail are the parts of a cause that the words of the portal and of the rule file name.
func causeDetail(c cause.Cause) string {
	var parts []string
	switch {
	case c.Method != "" && c.Code != "":
		parts = append(parts, c.Method+" → "+c.Code)
	case c.Method != "":
		parts = append(parts, c.Method)
	case c.Code != "":
		parts = append(parts, c.Code)
	}
	if c.Step != "" {
		parts = append(parts, c.Step)
	}
	if c.File != "" {
		parts = append(parts, c.File)
	}
	return strings.Join(parts, ", ")
}

// causesPage is the page of failures by cause.
type causesPage struct {
	runsPage
	Runs         int
	List         []causeRow
	Acknowledged int
	ShowAll      bool
}

func (c *Console) causes(q *request) (*page, error) {
	f := q.filters()
	if f.State == "" {
		f.State = string(journal.Parked)
	}
	filter, err := c.runFilter(q, f)
	if err != nil {
		return nil, err
	}
	v := causesPage{runsPage: runsPage{Group: "cause", Filters: f, States: q.stateOptions(f.State), Outcomes: q.outcomeOptions(f.Outcome), Did: q.did()}, ShowAll: q.FormValue("acknowledged") != ""}
	p := &page{template: "causes", section: "runs", command: "b24rules runs list --by cause" + f.args()}
	if len(f.Wrong) > 0 {
		v.Heading = q.t("filter.wrong")
		p.title, p.data, p.status, p.json = v.Heading, v, http.StatusBadRequest, q.wrongJSON(f)
		return p, nil
	}
	rows, err := c.causeRows(q, filter)
	if err != nil {
		return nil, err
	}
	var all []report.Cause
	for _, row := range rows {
		all = append(all, row.Cause)
		v.Runs += row.Cause.Runs
		if row.Acknowledged != nil {
			v.Acknowledged++
			if !v.ShowAll {
				continue
			}
		}
		v.List = append(v.List, row)
	}
	v.Heading = q.t("causes.heading", q.n("deadLetters", v.Runs), q.n("causes", len(rows)))
	if len(rows) == 0 {
		v.Heading = q.t("causes.none")
	}
	p.title, p.data = v.Heading, v
	p.json = func(w io.Writer) error { return report.WriteCauses(w, "json", all, c.knownPortals()) }
	return p, nil
}

// id reads the number of a run or an event of the address.
func (q *request) id(text, key string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, &problem{status: http.StatusNotFound, key: key, args: []any{text}}
	}
	return n, nil
}
