package queue

import (
	"strings"
	"testing"
)

// Frequent statements find their rows by an index, however many runs history has.
// The choice of SQLite does not depend on the number of rows.
func TestQueriesUseTheirIndexes(t *testing.T) {
	q := openTest(t)
	for _, tt := range []struct{ name, text, want string }{
		{"due live runs", selectDueLive, "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"due runs of a backfill", selectDueBackfill, "b24_run_due (portal=? AND priority=? AND due_at<?)"},
		{"busy entities", selectDueLive, "b24_run_busy (portal=? AND entity=?)"},
		{"deleted entities", selectDueLive, "sqlite_autoindex_b24_tombstone_1 (portal=? AND entity=?)"},
		{"the next due run", selectNextLive, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
		{"the next due run of a backfill", selectNextBackfill, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
		{"claimed runs", selectClaimed, "b24_run_busy (portal=? AND entity>?)"},
		{"recent runs of an entity", selectRecent, "b24_run_entity (portal=? AND entity=?)"},
		{"a pending run of the same", selectSibling, "b24_run_pending (portal=? AND rule=? AND entity=?)"},
		{"a run that ends", leaveRun, "INTEGER PRIMARY KEY (rowid=?)"},
		{"old runs", selectOldRuns, "b24_run_finished (state=? AND finished_at<?)"},
		{"old events", selectOldEvents, "b24_event_received (received_at>? AND received_at<?)"},
		{"events to route again", selectUnrouted, "b24_event_missing (portal=? AND id>?)"},
		{"a page of sleeping runs", selectSleepers, "b24_run_pending (portal=? AND rule=? AND entity>?)"},
		{"the next run of a rule that sleeps", selectNextBackfill, "b24_run_due (portal=? AND priority=? AND due_at>?)"},
	} {
		rows, err := q.db.Read.Query(t.Context(), "EXPLAIN QUERY PLAN "+tt.text, "", "", "", "", "", "", "", "")
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
