package queue

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/internal/store"
)

// pendingRuns selects the unfinished runs of backfills of a portal, of a rule or of
// all rules, without those that sleep. It lists the states like the index of open runs does.
const pendingRuns = `
FROM b24_run
WHERE portal = $1 AND priority = $2 AND state IN ('waiting', 'blocked', 'queued', 'running', 'parked') AND state <> 'parked'
    AND NOT (state = 'waiting' AND opened_at > $4 AND due_at > $4) AND ($3 = '' OR rule = $3)`

const countPending = `SELECT COUNT(*)` + pendingRuns

// tallyRuns finds the pages first, because they are far fewer than runs.
const tallyRuns = `SELECT state, COUNT(*)` + pendingRuns + `
GROUP BY state
UNION ALL
SELECT r.state, COUNT(*) FROM b24_event e CROSS JOIN b24_run r
WHERE e.id >= $5 AND e.portal = $1 AND e.code = $6
    AND r.event_id = e.id AND r.state IN ('succeeded', 'parked', 'discarded') AND ($3 = '' OR r.rule = $3)
GROUP BY r.state`

// Pending counts the unfinished runs of all backfills of a portal. rule "" counts
// those of all rules.
func (q History) Pending(ctx context.Context, portal, rule string) (n int, err error) {
	if err = q.db.read.QueryRow(ctx, countPending, portal, Backfill, rule, micros(clock())).Scan(&n); err != nil {
		return 0, fmt.Errorf("count runs: %w", err)
	}
	return n, nil
}

// Tally counts runs of backfills of a portal by state: the unfinished runs of all
// backfills (a later backfill joins them), and the ended runs of pages with this
// code whose event ID is since or higher. An unfinished run that an event of the
// portal has joined is not counted. rule "" counts those of all rules.
func (q History) Tally(ctx context.Context, portal, code, rule string, since int64) (map[State]int, error) {
	return q.countStates(ctx, tallyRuns, portal, Backfill, rule, micros(clock()), since, code)
}

// countStates reads rows of a state and a number of runs.
func (q History) countStates(ctx context.Context, text string, args ...any) (map[State]int, error) {
	counts := map[State]int{}
	_, err := store.All(ctx, q.db.read, "count runs", func(row store.Row) (state State, err error) {
		var n int
		err = row.Scan(&state, &n)
		counts[state] = n
		return state, err
	}, text, args...)
	return counts, err
}
