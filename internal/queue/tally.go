package queue

import (
	"context"
	"fmt"
)

// pendingRuns chooses the runs of backfills of a portal that are not over, of a
// rule or of all. It names the states as the index of open runs does.
const pendingRuns = `
FROM b24_run
WHERE portal = $1 AND priority = $2 AND state IN ('waiting', 'blocked', 'queued', 'running', 'parked') AND state <> 'parked'
    AND ($3 = '' OR rule = $3)`

const countPending = `SELECT COUNT(*)` + pendingRuns

// tallyRuns looks for the pages first, which are far fewer than runs.
const tallyRuns = `SELECT state, COUNT(*)` + pendingRuns + `
GROUP BY state
UNION ALL
SELECT r.state, COUNT(*) FROM b24_event e CROSS JOIN b24_run r
WHERE e.id >= $4 AND e.portal = $1 AND e.code = $5
    AND r.event_id = e.id AND r.state IN ('succeeded', 'parked', 'discarded') AND ($3 = '' OR r.rule = $3)
GROUP BY r.state`

// Pending counts the runs of backfills of a portal that are not over, whichever
// backfill has begun them. rule "" counts those of all rules.
func (q *Queue) Pending(ctx context.Context, portal, rule string) (n int, err error) {
	if err = q.db.read.QueryRowContext(ctx, countPending, portal, Backfill, rule).Scan(&n); err != nil {
		return 0, fmt.Errorf("count runs: %w", err)
	}
	return n, nil
}

// Tally counts the runs of backfills of a portal by state: those that are not
// over, whichever backfill has begun them (a later one joins them), and those
// that ended and belong to a page with this code that was stored as event since
// or later. A run that an event of the portal has joined is no longer counted
// while it is not over. rule "" counts those of all rules.
func (q *Queue) Tally(ctx context.Context, portal, code, rule string, since int64) (map[State]int, error) {
	rows, err := q.db.read.QueryContext(ctx, tallyRuns, portal, Backfill, rule, since, code)
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[State]int{}
	for rows.Next() {
		var (
			state State
			n     int
		)
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count runs: %w", err)
		}
		out[state] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return out, nil
}
