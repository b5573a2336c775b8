package queue

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/internal/store"
)

// pendingRuns selects the unfinished runs of backfills of a portal, of a rule or of
// all rules, without those that sleep: see countOpen. A row is a state and a number.
const pendingRuns = `
SELECT r.state, COUNT(*) AS runs FROM b24_run r
WHERE r.portal = $2 AND r.priority = $3 AND ` + unfinished + ` AND r.state NOT IN ('waiting', 'parked') AND ($4 = '' OR r.rule = $4) GROUP BY r.state
UNION ALL
SELECT 'waiting', COUNT(*) FROM b24_run r
WHERE r.portal = $2 AND r.priority = $3 AND ` + unfinished + ` AND r.state = 'waiting' AND r.opened_at <= $1 AND ($4 = '' OR r.rule = $4)
UNION ALL
SELECT 'waiting', COUNT(*) FROM b24_run r
WHERE r.portal = $2 AND r.priority = $3 AND r.state = 'waiting' AND r.due_at <= $1 AND +r.opened_at > $1 AND ($4 = '' OR r.rule = $4)`

const countPending = `SELECT CAST(SUM(runs) AS BIGINT) FROM (` + pendingRuns + `) AS pending`

// tallyRuns finds the pages first, because they are far fewer than runs.
const tallyRuns = pendingRuns + `
UNION ALL
SELECT r.state, COUNT(*) FROM b24_event e CROSS JOIN b24_run r
WHERE e.id >= $5 AND e.portal = $2 AND e.code = $6
    AND r.event_id = e.id AND r.state IN ('succeeded', 'parked', 'discarded') AND ($4 = '' OR r.rule = $4)
GROUP BY r.state`

// Pending counts the unfinished runs of all backfills of a portal. rule "" counts
// those of all rules.
func (q History) Pending(ctx context.Context, portal, rule string) (n int, err error) {
	if err = q.db.read.QueryRow(ctx, countPending, micros(clock()), portal, Backfill, rule).Scan(&n); err != nil {
		return 0, fmt.Errorf("count runs: %w", err)
	}
	return n, nil
}

// Tally counts runs of backfills of a portal by state: the unfinished runs of all
// backfills (a later backfill joins them), and the ended runs of pages with this
// code whose event ID is since or higher. An unfinished run that an event of the
// portal has joined is not counted. rule "" counts those of all rules.
func (q History) Tally(ctx context.Context, portal, code, rule string, since int64) (map[State]int, error) {
	return q.countStates(ctx, tallyRuns, micros(clock()), portal, Backfill, rule, since, code)
}

// countStates reads rows of a state and a number of runs.
func (q History) countStates(ctx context.Context, text string, args ...any) (map[State]int, error) {
	counts := map[State]int{}
	_, err := store.All(ctx, q.db.read, "count runs", func(row store.Row) (state State, err error) {
		var n int
		err = row.Scan(&state, &n)
		if n > 0 {
			counts[state] += n
		}
		return state, err
	}, text, args...)
	return counts, err
}
