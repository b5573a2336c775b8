package journal

import (
	"regexp"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Statement is a frequent statement, and how SQLite must use an index for it.
type Statement struct{ Name, Text, Index string }

// Statements are the frequent statements.
func Statements(from store.Reader) []Statement {
	parked := Filter{States: []State{Parked}}.where()
	list := Filter{Portal: "acme", Rule: "r"}.where()
	return []Statement{
		{"portals", selectPortals(from), "b24_run_due (portal>?)"},
		{"portals with unfinished runs", countOpen(from), "b24_run_open (portal>?)"},
		{"unfinished backfills", countOpen(from), "b24_run_open (portal=? AND priority=? AND state=? AND opened_at<?)"},
		{"repeated sleepers", countOpen(from), "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"sleepers", countOpen(from), "COVERING INDEX b24_run_open (portal=? AND priority=? AND state=? AND opened_at>?)"},
		{"pending runs", countPending, "b24_run_open (portal=? AND priority=? AND state=?)"},
		{"a tally", tallyRuns, "b24_run_latest (event_id=?)"},
		{"counts of events to route again", countUnrouted, "b24_event_missing"},
		{"the latest runs of a rule", SelectRuns + list.page("r.id", 50), "b24_run_portal (portal=?"},
		{"waiting runs that have started", countStarted, "b24_run_pending (portal=? AND rule=?)"},
		{"causes of parked runs", countCauses + parked.text() + groupCauses, "b24_run_state (state=?)"},
	}
}

// PageStatements are the statements of the pages of the console that read runs or events.
func PageStatements() map[string]string {
	runs := func(f Filter) string { return SelectRuns + f.where().window("r.id", 1, 9) }
	events := func(f EventFilter) string { return SelectEvents + f.where().window("e.id", 1, 9) }
	causes := func(f Filter) string { return countCauses + f.where().text() + groupCauses }
	days := func(f Filter) string {
		text, _ := countDays(f, []time.Time{time.Now(), time.Now(), time.Now()}, 1, 9)
		return text
	}
	return map[string]string{
		"runs of days":             days(Filter{}),
		"runs of a portal on days": days(Filter{Portal: "p"}),
		"runs of a rule on days":   days(Filter{Rule: "r", Portals: []string{"p", "q"}}),
		"the oldest run":           oldestDone,
		"runs":                     runs(Filter{Before: 9}),
		"runs of a portal":         runs(Filter{Before: 9, Portal: "p"}),
		"runs of some portals":     runs(Filter{Before: 9, Portals: []string{"p", "q"}}),
		"runs of a rule":           runs(Filter{Before: 9, Portal: "p", Rule: "r"}),
		"runs of an entity":        runs(Filter{Before: 9, Portal: "p", Entity: "deal:1"}),
		"runs of an entity of all": runs(Filter{Before: 9, Entity: "deal:1"}),
		"parked runs":              runs(Filter{Before: 9, States: []State{Parked}}),
		"parked runs of a cause":   runs(Filter{Before: 9, States: []State{Parked}, Cause: "c"}),
		"runs with a text":         runs(Filter{Before: 9, Text: "x"}),
		"runs by what they did":    runs(Filter{Before: 9, Did: []Did{Wrote, Nothing, Retrying, "skipped"}}),
		"events":                   events(EventFilter{Before: 9}),
		"events of a portal":       events(EventFilter{Before: 9, Portal: "p"}),
		"events of some portals":   events(EventFilter{Before: 9, Portals: []string{"p", "q"}}),
		"events of a code":         events(EventFilter{Before: 9, Code: "c"}),
		"events without a rule":    events(EventFilter{Before: 9, NoRule: true}),
		"events of an entity":      events(EventFilter{Before: 9, Entity: "deal:1"}),
		"causes":                   causes(Filter{States: []State{Parked}}),
		"causes of a portal":       causes(Filter{Portal: "p", States: []State{Parked}}),
		"runs of a cause":          causes(Filter{Cause: "c", States: []State{Parked}}),
		"the newest events":        lastEvents + "(VALUES (CAST($1 AS TEXT))) AS p",
		"the time of an event":     eventTime,
		"the time of a run":        runTime,
	}
}

var argument = regexp.MustCompile(`\$\d+`)

// Explained are the statements of pages with values for their arguments, to explain their plans.
func Explained() map[string]string {
	all := PageStatements()
	for name, text := range all {
		text = argument.ReplaceAllString(text, "'1'")
		all[name] = "EXPLAIN " + strings.ReplaceAll(text, "r.state IN ('1')", "r.state IN ('parked')") // a state with an index
	}
	return all
}
