package journal

import (
	"context"
	"database/sql"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Backlog is how many runs of a portal and priority are in one state.
type Backlog struct {
	Portal   string
	Priority Priority
	State    State
	Runs     int

	// Due is when the first of them was or will be due that no pause and no hold keeps
	// from starting; zero without one.
	Due time.Time
}

// Backlogs counts the unfinished runs: waiting, sleeping, blocked, queued, running and
// parked ones. Its cost depends on their number, not on how many have succeeded.
func Backlogs(ctx context.Context, from store.Reader) ([]Backlog, error) {
	return store.All(ctx, from, "count unfinished runs", func(row store.Row) (Backlog, error) {
		var (
			b   Backlog
			due sql.NullInt64
		)
		err := row.Scan(&b.Portal, &b.Priority, &b.State, &b.Runs, &due)
		b.Due = store.Time(due.Int64)
		return b, err
	}, countOpen(from), store.Micros(time.Now()))
}

// portalsOf starts a statement with the portals that have runs in a state: p, with one row
// that is empty and one that is NULL. It looks once into an index of these states for each portal,
// however many runs there are.
func portalsOf(from store.Reader, index, states string) string {
	return `
WITH RECURSIVE p (portal) AS (
    SELECT ''
    UNION ALL
    SELECT (SELECT r.portal FROM b24_run AS r` + from.ByIndex(index) + ` WHERE ` + states + ` AND r.portal > p.portal ORDER BY r.portal LIMIT 1)
    FROM p WHERE p.portal IS NOT NULL)`
}

// selectPortals selects the portals that have waiting runs.
func selectPortals(from store.Reader) string {
	return portalsOf(from, "b24_run_due", `r.state = 'waiting'`) + ` SELECT portal FROM p WHERE portal > ''`
}

// WaitingPortals returns the portals that have waiting runs.
func WaitingPortals(ctx context.Context, from store.Reader) (map[string]bool, error) {
	all := map[string]bool{}
	_, err := store.All(ctx, from, "portals with runs", func(row store.Row) (portal string, err error) {
		err = row.Scan(&portal)
		all[portal] = true
		return portal, err
	}, selectPortals(from))
	return all, err
}

// WaitingRules returns the rules of a portal that have waiting runs, also those that sleep.
func WaitingRules(ctx context.Context, from store.Reader, portal string) ([]string, error) {
	return store.All(ctx, from, "read which rules have waiting runs", func(row store.Row) (rule string, err error) {
		err = row.Scan(&rule)
		return rule, err
	}, `SELECT DISTINCT rule FROM b24_run WHERE portal = $1 AND state IN ('waiting', 'blocked', 'queued') ORDER BY rule`, portal)
}

// openRuns counts the unfinished runs of the portals in p for which a condition holds.
// due is when the first of them is due.
func openRuns(condition string) string {
	return `
    SELECT r.portal AS portal, r.priority AS priority, r.state AS state, COUNT(*) AS runs, MIN(CASE WHEN ` + WhereStartable + ` THEN r.due_at END) AS due
    FROM p CROSS JOIN b24_run r
    WHERE r.portal = p.portal AND ` + unfinished + ` AND ` + condition + `
    GROUP BY r.portal, r.priority, r.state`
}

// countOpen counts the unfinished runs. Each part is a range of the index of open runs,
// because a portal may have hundreds of thousands that sleep: those are counted without
// a look at the runs themselves.
func countOpen(from store.Reader) string {
	return portalsOf(from, "b24_run_open", unfinished) + `
SELECT portal, priority, state, CAST(SUM(runs) AS BIGINT), MIN(due) FROM (` +
		openRuns(`r.priority = 0`) + ` UNION ALL ` +
		openRuns(`r.priority = 1 AND r.state IN ('blocked', 'queued', 'running', 'parked')`) + ` UNION ALL ` +
		openRuns(`r.priority = 1 AND r.state = 'waiting' AND r.opened_at <= $1`) + ` UNION ALL ` +
		openRuns(`r.priority = 1 AND r.state = 'waiting' AND r.due_at <= $1 AND +r.opened_at > $1`) + ` UNION ALL ` +
		`
    SELECT p.portal, 1, 'asleep', (
        SELECT COUNT(*) FROM b24_run AS r` + from.ByIndex("b24_run_open") + `
        WHERE r.portal = p.portal AND ` + unfinished + ` AND r.priority = 1 AND r.state = 'waiting' AND r.opened_at > $1 AND r.due_at > $1), CAST(NULL AS BIGINT)
    FROM p WHERE p.portal > ''
) open_runs GROUP BY portal, priority, state HAVING SUM(runs) > 0 ORDER BY portal, priority, state`
}
