package queue

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Frequent statements find their rows by an index, however many runs history has.
// The choice of SQLite does not depend on the number of rows.
func TestQueriesUseTheirIndexes(t *testing.T) {
	q := openTest(t)
	b := q.db.backend
	parked, _ := Filter{States: []State{Parked}}.conditions()
	list, _ := Filter{Portal: "acme", Rule: "r"}.conditions()
	for _, tt := range []struct{ name, text, want string }{
		{"due live runs", selectDueLive, "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"due runs of a backfill", selectDueBackfill, "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"busy entities", selectDueLive, "b24_run_busy (portal=? AND entity=?)"},
		{"deleted entities", selectDueLive, "sqlite_autoindex_b24_tombstone_1 (portal=? AND entity=?)"},
		{"the next due run", selectNextLive, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
		{"the next due run of a backfill", selectNextBackfill, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
		{"claimed runs", selectClaimed, "b24_run_busy (portal=? AND entity>?)"},
		{"portals", selectPortals(b), "b24_run_due (portal>?)"},
		{"portals with unfinished runs", countOpen(b), "b24_run_open (portal>?)"},
		{"unfinished backfills", countOpen(b), "b24_run_open (portal=? AND priority=? AND state=? AND opened_at<?)"},
		{"repeated sleepers", countOpen(b), "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"sleepers", countOpen(b), "COVERING INDEX b24_run_open (portal=? AND priority=? AND state=? AND opened_at>?)"},
		{"pending runs", countPending, "b24_run_open (portal=? AND priority=? AND state=?)"},
		{"a tally", tallyRuns, "b24_run_latest (event_id=?)"},
		{"recent runs of an entity", selectRecent, "b24_run_entity (portal=? AND entity=?)"},
		{"a pending run of the same", selectSibling, "b24_run_pending (portal=? AND rule=? AND entity=?)"},
		{"a run that ends", leaveRun, "INTEGER PRIMARY KEY (rowid=?)"},
		{"old runs", selectOldRuns, "b24_run_finished (state=? AND finished_at<?)"},
		{"old events", selectOldEvents, "b24_event_received (received_at>? AND received_at<?)"},
		{"events to route again", selectUnrouted, "b24_event_missing (portal=? AND id>?)"},
		{"counts of events to route again", countUnrouted, "b24_event_missing"},
		{"the latest runs of a rule", selectInfo + list + " ORDER BY r.id DESC LIMIT 50", "b24_run_portal (portal=?"},
		{"a page of sleeping runs", selectSleepers, "b24_run_pending (portal=? AND rule=? AND entity>?)"},
		{"waiting runs that have started", countStarted, "b24_run_pending (portal=? AND rule=?)"},
		{"the next run of a rule that sleeps", selectNextBackfill, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
		{"causes of parked runs", countCauses + parked + groupCauses, "b24_run_state (state=?)"},
	} {
		rows, err := q.db.read.Query(t.Context(), "EXPLAIN QUERY PLAN "+tt.text, "", "", "", "", "", "", "", "")
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(plan, "\n"); !strings.Contains(all, tt.want) {
			t.Errorf("%s: want %s in\n%s", tt.name, tt.want, all)
		}
	}
}

// pageStatements are the statements of the pages of the console that read runs or events.
func pageStatements() map[string]string {
	conditions := func(f Filter) string {
		where, args := f.conditions()
		n := len(args)
		return selectInfo + windowOf("r.id", where, n)
	}
	events := func(f EventFilter) string {
		where, args := f.conditions()
		n := len(args)
		return selectEvent + windowOf("e.id", where, n)
	}
	causes := func(f Filter) string {
		where, _ := f.conditions()
		return countCauses + where + groupCauses
	}
	days := func(f Filter) string {
		text, _ := countDays(f, []time.Time{time.Now(), time.Now(), time.Now()}, 1, 9)
		return text
	}
	return map[string]string{
		"runs of days":             days(Filter{}),
		"runs of a portal on days": days(Filter{Portal: "p"}),
		"runs of a rule on days":   days(Filter{Rule: "r", Portals: []string{"p", "q"}}),
		"the oldest run":           oldestDone,
		"runs":                     conditions(Filter{Before: 9}),
		"runs of a portal":         conditions(Filter{Before: 9, Portal: "p"}),
		"runs of some portals":     conditions(Filter{Before: 9, Portals: []string{"p", "q"}}),
		"runs of a rule":           conditions(Filter{Before: 9, Portal: "p", Rule: "r"}),
		"runs of an entity":        conditions(Filter{Before: 9, Portal: "p", Entity: "deal:1"}),
		"runs of an entity of all": conditions(Filter{Before: 9, Entity: "deal:1"}),
		"parked runs":              conditions(Filter{Before: 9, States: []State{Parked}}),
		"parked runs of a cause":   conditions(Filter{Before: 9, States: []State{Parked}, Cause: "c"}),
		"runs with a text":         conditions(Filter{Before: 9, Text: "x"}),
		"runs by what they did":    conditions(Filter{Before: 9, Did: []Did{Wrote, Nothing, Retrying, "skipped"}}),
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
	all := pageStatements()
	for name, text := range all {
		text = argument.ReplaceAllString(text, "'1'")
		all[name] = "EXPLAIN " + strings.ReplaceAll(text, "r.state IN ('1')", "r.state IN ('parked')") // a state with an index
	}
	return all
}

// The pages of the console read windows of ids, or an index, and never all runs or events. On
// PostgreSQL, TestPagesUseIndexesOfPostgres does the same.
func TestPagesUseIndexes(t *testing.T) {
	q := openTest(t)
	for name, text := range pageStatements() {
		var plan []string
		args := make([]any, 12)
		for i := range args {
			args[i] = "1"
		}
		for n := len(args); ; n-- {
			if strings.Contains(text, fmt.Sprintf("$%d", n)) || n == 0 {
				args = args[:n]
				break
			}
		}
		rows, err := q.db.read.Query(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if step == "SCAN r" || step == "SCAN e" || step == "SCAN b24_run" || step == "SCAN b24_event" || strings.Contains(step, "USE TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s: %q in\n%s", name, step, strings.Join(plan, "\n"))
			}
		}
	}
}
