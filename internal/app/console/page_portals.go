package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
)

func (c *Console) home(*request) (*page, error) { return &page{redirect: "/portals"}, nil }

// conditionClass is the mark of a condition.
func conditionClass(c report.Condition) string {
	switch c {
	case report.PortalFine:
		return "ok"
	case report.PortalPaused, report.PortalRemoved:
		return "off"
	case report.PortalBehind, report.PortalSilent:
		return "warn"
	}
	return "bad"
}

// portalRow is a portal in the list.
type portalRow struct {
	report.PortalStatus
	Class, Word, Text string
	Last              time.Time
	Lagging           time.Duration
}

func (q *request) portalRow(p report.PortalStatus, known report.Known) portalRow {
	row := portalRow{PortalStatus: p, Class: conditionClass(p.Condition), Word: q.t("cond." + string(p.Condition)), Lagging: time.Duration(p.Lag) * time.Millisecond}
	zone, _ := known.Zone(p.Portal)
	if p.LastEvent != nil {
		row.Last = p.LastEvent.In(zone)
	}
	row.Text = q.portalText(p, zone)
	return row
}

// portalText says why a portal is in its condition, in one line.
func (q *request) portalText(p report.PortalStatus, zone *time.Location) string {
	var parts []string
	since := ""
	if p.Since != nil {
		since = q.recent(p.Since.In(zone))
	}
	switch p.Condition {
	case report.PortalFine:
		return ""
	case report.PortalBehind:
		parts = append(parts, q.t("why.behind", span(q.lang, time.Duration(p.Lag)*time.Millisecond)))
	case report.PortalSilent:
		parts = append(parts, q.t("why.silent"))
	case report.PortalFailing:
		parts = append(parts, q.t("why.failing", q.n("runsN", p.Worst.Runs), p.Worst.Rule, q.causeTitle(p.Worst.Cause)))
	default:
		if p.Why != "" {
			parts = append(parts, strings.TrimSuffix(report.OneLine(p.Why), "."))
		}
		if since != "" {
			parts = append(parts, q.t("why.since", since))
		}
	}
	if p.Probe != nil {
		parts = append(parts, q.t("why.probe", p.Probe.In(zone).Format(time.TimeOnly)))
	}
	if p.Waiting > 0 {
		parts = append(parts, q.n("waiting", p.Waiting))
	}
	if p.Events > 0 {
		parts = append(parts, q.n("eventsWait", p.Events))
	}
	return strings.Join(parts, "; ")
}

// conditionTab is one condition with its number.
type conditionTab struct {
	Condition, Word string
	N               int
	Chosen          bool
}

// portalsPage is the page of all portals.
type portalsPage struct {
	Heading, Sub string
	Query        string
	Conditions   []string
	Tabs         []conditionTab
	All          int
	Rows         []portalRow
	More         int
	After        string
	Parked       int
	// Shared are rule sets that are broken in many portals: they are shown once.
	Shared []sharedFault
	Alerts []string // receivers that do not take them
}

type sharedFault struct {
	Set, Reason string
	Portals     int
}

// fewPortals is how many fine portals a page shows before "more".
const fewPortals = 25

// status reads the states of portals that the user sees. all is that of report.ReadStatus.
func (c *Console) status(q *request, only []string, all bool) (report.Status, error) {
	open, err := c.backlogs(q)
	if err != nil {
		return report.Status{}, err
	}
	s, err := report.ReadStatusOf(q.Context(), c.Queue, open, only, all)
	if err != nil {
		return s, err
	}
	for _, b := range c.Broken() {
		s.Outdated(b.Name, c.hide(b.Reason()))
	}
	s.Portals = slices.DeleteFunc(s.Portals, func(p report.PortalStatus) bool { return !q.user.Sees(p.Portal) })
	s.OnlyAlertsTo(c.Config().Alerts)
	if q.user.Portals != nil { // alerts are about all portals
		s.Alerts = nil
	}
	for i := range s.Alerts {
		s.Alerts[i].Error = c.hide(s.Alerts[i].Error)
	}
	for _, p := range s.Portals {
		if p.Drift != nil && q.user.NoRecords { // it has values of records
			for i := range p.Drift.Rules {
				p.Drift.Rules[i].Plans = nil
			}
		}
	}
	return s, nil
}

func (c *Console) portals(q *request) (*page, error) {
	s, err := c.status(q, c.portalNames(q), true)
	if err != nil {
		return nil, err
	}
	known := c.knownPortals()
	v := portalsPage{Query: q.FormValue("q"), Conditions: q.URL.Query()["state"], All: len(s.Portals)}
	counts := map[report.Condition]int{}
	waiting := 0
	sets := map[string]*sharedFault{}
	for _, p := range s.Portals {
		counts[p.Condition]++
		v.Parked += p.Parked
		waiting += p.Waiting
		for _, r := range p.Rules {
			if r.RuleSet == "" {
				continue
			}
			if sets[r.RuleSet] == nil {
				sets[r.RuleSet] = &sharedFault{Set: r.RuleSet, Reason: report.OneLine(r.Reason)}
			}
			sets[r.RuleSet].Portals++
		}
	}
	for _, u := range s.Alerts {
		v.Alerts = append(v.Alerts, q.t("portals.alerts", u.Receiver, q.recent(u.Since.Local()), q.n("messages", u.Messages), report.OneLine(u.Error)))
	}
	for _, f := range sets {
		if f.Portals > 1 {
			v.Shared = append(v.Shared, *f)
		}
	}
	slices.SortFunc(v.Shared, func(a, b sharedFault) int { return cmp.Compare(a.Set, b.Set) })
	order := map[report.Condition]int{}
	for i, condition := range report.Conditions() {
		order[condition] = i
		if counts[condition] > 0 {
			v.Tabs = append(v.Tabs, conditionTab{string(condition), q.t("cond." + string(condition)), counts[condition], slices.Contains(v.Conditions, string(condition))})
		}
	}
	slices.SortStableFunc(s.Portals, func(a, b report.PortalStatus) int {
		return cmp.Or(order[a.Condition]-order[b.Condition], compareSince(a.Since, b.Since), strings.Compare(a.Portal, b.Portal))
	})
	shown := s
	shown.Portals = slices.DeleteFunc(slices.Clone(s.Portals), func(p report.PortalStatus) bool {
		return v.Query != "" && !strings.Contains(strings.ToLower(p.Portal), strings.ToLower(v.Query)) ||
			len(v.Conditions) > 0 && !slices.Contains(v.Conditions, string(p.Condition))
	})
	for _, p := range shown.Portals {
		if p.Condition == report.PortalFine && len(v.Rows) >= fewPortals && q.FormValue("all") == "" {
			v.More++
			continue
		}
		v.Rows = append(v.Rows, q.portalRow(p, known))
	}
	bad := len(s.Portals) - counts[report.PortalFine] - counts[report.PortalPaused] - counts[report.PortalRemoved]
	key := "portals.heading"
	if bad == 1 {
		key = "portals.heading.one"
	}
	v.Heading = q.t(key, number(q.lang, bad), q.n("ofPortals", len(s.Portals)-counts[report.PortalRemoved]))
	if bad == 0 {
		v.Heading = q.t("portals.fine", q.n("portals", len(s.Portals)-counts[report.PortalRemoved]))
	}
	v.Sub = strings.Join([]string{q.n("fine", counts[report.PortalFine]), q.n("deadLetters", v.Parked), q.n("waiting", waiting)}, "; ")
	return &page{template: "portals", section: "portals", title: v.Heading, data: v, json: jsonOf(shown), command: "b24rules status --all"}, nil
}

// compareSince compares times; nil is last.
func compareSince(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

// portalPage is the page of one portal.
type portalPage struct {
	Row     portalRow
	Heading string
	Address string // the host
	Zone    string
	Time    time.Time
	Causes  []causeRow
	// MoreCauses is how many causes the page does not show.
	MoreCauses int
	Rules      []ruleRow
	Runs       []runRow
	Paused     bool
	Held       bool
	WorkedBy   string
	Did        string
	Today      journal.RunCounts
	Drift      []driftRow
	DriftAt    time.Time // of the last comparison; zero without one
}

// driftRow is a rule whose portal differs from what the rule would write, or could not be compared.
type driftRow struct {
	Rule, Text string
	Plans      []planView
	More       int // entities that are not listed
}

// ruleRow is a rule of a portal.
type ruleRow struct {
	Rule, Set, Version string
	Since              time.Time
	Class, Word, Text  string
	Paused             bool
	Parked             int
	Today              journal.RunCounts
}

// namedPortal returns the portal of the address.
func (c *Console) namedPortal(q *request) (string, error) {
	name := mux.Vars(q.Request)["portal"]
	names := c.portalNames(q)
	if !slices.Contains(names, name) {
		s, err := c.status(q, nil, true) // a portal that was removed
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(s.Portals, func(p report.PortalStatus) bool { return p.Portal == name }) {
			return "", &problem{status: http.StatusNotFound, key: "problem.portal", args: []any{name}, there: names, under: "/portals/"}
		}
	}
	return name, nil
}

func (c *Console) portal(q *request) (*page, error) {
	name, err := c.namedPortal(q)
	if err != nil {
		return nil, err
	}
	s, err := c.status(q, []string{name}, false)
	if err != nil {
		return nil, err
	}
	known := c.knownPortals()
	zone, _ := known.Zone(name)
	v := portalPage{Row: q.portalRow(s.Portals[0], known), Time: q.now.In(zone), Zone: report.ZoneName(q.now.In(zone)), Did: q.did()}
	v.Paused = v.Row.State == report.StatePaused
	v.Held = !v.Paused && v.Row.State != report.StateOK && v.Row.State != report.StateOutdated
	v.Heading = q.t("portal.heading", name, v.Row.Word)
	if c := v.Row.Condition; c == report.PortalRulesBroken || c == report.PortalRuleStopped {
		v.Heading = name + ": " + v.Row.Word
	}
	if v.Causes, err = c.causeRows(q, journal.Filter{Portal: name, States: []journal.State{journal.Parked}}); err != nil {
		return nil, err
	}
	const mostCauses = 5
	if v.MoreCauses = len(v.Causes) - mostCauses; v.MoreCauses > 0 {
		v.Causes = v.Causes[:mostCauses]
	} else {
		v.MoreCauses = 0
	}
	today, err := report.ReadDays(q.Context(), c.Queue, journal.Filter{Portal: name, From: q.now}, zone, countFor)
	if err != nil {
		return nil, err
	}
	v.Today = today.Days[0].RunCounts
	if v.Rules, err = c.ruleRows(q, s.Portals[0], today.Days[0], zone); err != nil {
		return nil, err
	}
	if d := s.Portals[0].Drift; d != nil {
		v.DriftAt = d.At.In(zone)
		v.Drift = q.driftRows(d, v.DriftAt)
	}
	found, err := journal.FindRuns(q.Context(), c.Queue.Database(), journal.Filter{Portal: name, Limit: 20})
	if err != nil {
		return nil, err
	}
	if v.Runs, err = c.runRows(q, found); err != nil {
		return nil, err
	}
	v.Runs = q.days(v.Runs)
	for i := range v.Runs {
		v.Runs[i].NoPortal = true
	}
	processes, err := c.Queue.Processes(q.Context())
	if err != nil {
		return nil, err
	}
	var workers []string
	for _, p := range processes {
		if p.Portals == nil || slices.Contains(p.Portals, name) {
			workers = append(workers, p.Name)
		}
	}
	v.WorkedBy = strings.Join(workers, ", ")
	for _, p := range c.Config().Portals {
		if p.Name == name {
			v.Address = portalHost(p.Webhook.Reveal())
			if p.OAuth != nil {
				v.Address = portalHost(p.OAuth.Portal)
			}
		}
	}
	return &page{template: "portal", section: "portals", title: name + ": " + v.Row.Word, data: v, zone: zone, json: jsonOf(s), command: "b24rules status --portal " + name}, nil
}

// mostDrift is how many differing entities of a rule a page shows.
const mostDrift = 5

// driftRows are the rules that differ, or that could not be compared.
func (q *request) driftRows(d *report.DriftResult, at time.Time) []driftRow {
	var out []driftRow
	for _, r := range d.Rules {
		row := driftRow{Rule: r.Rule}
		switch {
		case r.Differing > 0:
			row.Text = q.t("drift.differs", number(q.lang, r.Differing), q.n("ofEntities", r.Entities), q.recent(at))
		case r.NotSeen != "":
			row.Text = q.t("drift.notseen", q.recent(at), report.OneLine(r.NotSeen))
		default:
			continue
		}
		for _, p := range r.Plans[:min(len(r.Plans), mostDrift)] {
			row.Plans = append(row.Plans, planView{p, planSummary(q.lang, p.Changes)})
		}
		row.More = r.Differing - len(row.Plans)
		out = append(out, row)
	}
	return out
}

// ruleRows are the rules of a portal.
func (c *Console) ruleRows(q *request, p report.PortalStatus, today report.Day, zone *time.Location) ([]ruleRow, error) {
	counts, err := journal.Causes(q.Context(), c.Queue.Database(), journal.Filter{Portal: p.Portal, States: []journal.State{journal.Parked}})
	if err != nil {
		return nil, err
	}
	live, err := fleet.NewStore(c.Queue.Database()).List(q.Context(), p.Portal)
	if err != nil {
		return nil, err
	}
	parked := map[string]int{}
	for _, n := range counts {
		parked[n.Rule] += n.Runs
	}
	gen := c.Rules()
	if gen == nil {
		return nil, nil
	}
	var out []ruleRow
	for _, i := range gen.Instances(p.Portal) {
		for _, r := range i.Set.Rules {
			row := ruleRow{Rule: r.ID, Set: i.Set.Name, Class: "ok", Word: q.t("cond.fine"), Parked: parked[r.ID], Version: i.Set.Version}
			for _, d := range today.Rules {
				if d.Rule == r.ID {
					row.Today = d.RunCounts
				}
			}
			for _, l := range live {
				if l.Portal == p.Portal && l.Set == i.Set.Name {
					row.Since = l.Since.In(zone)
				}
			}
			if row.Parked > 0 {
				row.Class, row.Word = "bad", q.t("cond.failing")
			}
			for _, state := range p.Rules {
				if state.Rule != r.ID && state.RuleSet != i.Set.Name || row.Paused {
					continue
				}
				row.Class, row.Word, row.Text = "bad", q.t("rule."+state.State), report.OneLine(state.Reason)
				if state.State == report.StatePaused {
					row.Class, row.Word, row.Paused = "off", q.t("cond.paused"), true
				}
			}
			out = append(out, row)
		}
	}
	return out, nil
}
