package console

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/schemas"
)

// eventRow is an event in a list.
type eventRow struct {
	ID           int64
	At           time.Time
	Day          string
	Portal, Code string
	Entity       string
	Routes       int
	Why          string
	Waits        bool
}

// eventsPage is the page of events.
type eventsPage struct {
	Heading    string
	Filters    filters
	Met        []option
	Rows       []eventRow
	Older      string
	IsSearched bool
	Back       time.Time
}

func (c *Console) events(q *request) (*page, error) {
	f := q.filters()
	f.Rule = ""
	filter := journal.EventFilter{Portal: f.Portal, Portals: q.user.Portals, Code: f.Code, Limit: pageRows, Before: f.before(q)}
	if err := c.portalFilter(q, f); err != nil {
		return nil, err
	}
	if f.Entity != "" {
		e, err := report.ParseEntity("entity", f.Entity)
		if !f.wrong("entity", err) {
			filter.Entity = e.String()
		}
	}
	filter.From, filter.To = c.times(q, f)
	switch f.Met {
	case "none":
		filter.NoRule = true
	case "any":
		filter.AnyRule = true
	case "":
	default:
		f.Wrong["rule"] = q.t("filter.met", f.Met)
	}
	v := eventsPage{Filters: f, Met: []option{{"", q.t("filter.any"), f.Met == ""}, {"none", q.t("events.norule"), f.Met == "none"}, {"any", q.t("events.arule"), f.Met == "any"}}}
	known := c.knownPortals()
	zone := f.zone(known)
	p := &page{template: "events", section: "events", zone: zone, command: "b24rules events list" + eventArgs(f)}
	if len(f.Wrong) > 0 {
		v.Heading = q.t("filter.wrong")
		p.title, p.data, p.status, p.json = v.Heading, v, http.StatusBadRequest, q.wrongJSON(f)
		return p, nil
	}
	found, err := journal.SearchEvents(q.Context(), c.Queue.Database(), filter, searchFor)
	if err != nil {
		return nil, err
	}
	last := ""
	for _, e := range found.List {
		zone, _ := known.Zone(e.Portal)
		row := eventRow{ID: e.ID, At: e.Received.In(zone), Portal: e.Portal, Code: e.Code, Routes: e.Routes, Entity: entityOf(e), Waits: len(e.Missing) > 0}
		if d := row.At.Format(time.DateOnly); d != last {
			row.Day, last = day(q.lang, row.At), d
		}
		row.Why = shortWhy(report.Event{Event: e}.WhyNot())
		v.Rows = append(v.Rows, row)
	}
	v.IsSearched, v.Back = found.Searched, found.Back.In(zone)
	if found.Next != 0 {
		v.Older = q.with("before", strconv.FormatInt(found.Next, 10))
	}
	v.Heading = q.t("events.heading")
	if f.Met == "none" {
		v.Heading = q.t("events.heading.none")
	}
	if len(v.Rows) == 0 {
		v.Heading = q.t("events.none")
	}
	p.title, p.data = v.Heading, v
	p.json = func(w io.Writer) error {
		list := found.List
		for i := range list {
			list[i].Data = c.hideData(q, list[i].Data)
		}
		return report.WriteEvents(w, "json", list, found.Next, known)
	}
	return p, nil
}

func eventArgs(f filters) string {
	out := filters{Portal: f.Portal, Entity: f.Entity, From: f.From, To: f.To}.args()
	if f.Code != "" {
		out += " --code " + quoted(f.Code)
	}
	if f.Met == "none" {
		out += " --no-rule"
	}
	if f.Met == "any" {
		out += " --any-rule"
	}
	return out
}

// shortWhy is the reason of the rule that came nearest, for a list.
func shortWhy(all []fleet.Unmatched) string {
	if len(all) == 0 {
		return ""
	}
	text := all[0].Why
	if all[0].Rule != "" {
		text = all[0].Rule + ": " + text
	}
	return text
}

// entityOf is what an event is about, "" if it does not say it.
func entityOf(e journal.Event) string {
	v, err := formula.FromJSON(e.Data)
	if err != nil {
		return ""
	}
	data, _ := v.(map[string]any)
	event := engine.Event{Code: e.Code, Data: data, Time: e.Sent}
	known, suffix, ok := schemas.LookupEvent(e.Code)
	if !ok {
		return ""
	}
	entity, ok := engine.EntityOf(known, suffix, event)
	if !ok {
		return ""
	}
	return entity.String()
}

// eventPage is the page of one event.
type eventPage struct {
	Event    eventRow
	Heading  string
	Received time.Time
	Sent     time.Time
	Why      []fleet.Unmatched
	Runs     []runRow
	Data     string
	Others   []eventRow
	Missing  []string
}

func (c *Console) event(q *request) (*page, error) {
	id, err := q.id(mux.Vars(q.Request)["id"], "problem.event")
	if err != nil {
		return nil, err
	}
	found, err := journal.FindEvents(q.Context(), c.Queue.Database(), journal.EventFilter{ID: id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || !q.user.Sees(found[0].Portal) {
		return nil, &problem{status: http.StatusNotFound, key: "problem.event", args: []any{strconv.FormatInt(id, 10)}}
	}
	e := report.Event{Event: found[0]}
	if e.Runs, err = journal.FindRuns(q.Context(), c.Queue.Database(), journal.Filter{Event: id}); err != nil {
		return nil, err
	}
	known := c.knownPortals()
	zone, _ := known.Zone(e.Portal)
	entity := entityOf(e.Event)
	e.Data = c.hideData(q, e.Data)
	v := eventPage{
		Event: eventRow{ID: e.ID, Portal: e.Portal, Code: e.Code, Entity: entity, Routes: e.Routes}, Received: e.Received.In(zone),
		Why: e.WhyNot(), Missing: e.Missing,
	}
	if !e.Sent.IsZero() {
		v.Sent = e.Sent.In(zone)
	}
	v.Data = report.PlainJSON(e.Data, "", "  ")
	if v.Runs, err = c.runRows(q, e.Runs); err != nil {
		return nil, err
	}
	about := e.Code
	if entity != "" {
		about += " " + entity
	}
	switch {
	case e.Routes > 0:
		v.Heading = q.t("event.met", about, q.n("runsN", len(e.Runs)))
	case len(e.Missing) > 0:
		v.Heading = q.t("event.waits", about)
	default:
		v.Heading = q.t("event.norule", about)
	}
	near, err := journal.SearchEvents(q.Context(), c.Queue.Database(), journal.EventFilter{Portal: e.Portal, Code: e.Code, Before: e.ID, Limit: 5}, searchFor)
	if err != nil {
		return nil, err
	}
	for _, o := range near.List {
		v.Others = append(v.Others, eventRow{ID: o.ID, At: o.Received.In(zone), Code: o.Code, Entity: entityOf(o), Routes: o.Routes})
	}
	return &page{
		template: "event", section: "events", title: v.Heading, data: v, zone: zone, command: fmt.Sprintf("b24rules events show %d", e.ID),
		json: func(w io.Writer) error { return report.WriteEvent(w, "json", e, known) },
	}, nil
}
