package journal

import (
	"context"
	"fmt"
	"time"

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
func Pending(ctx context.Context, from store.Reader, portal, rule string) (n int, err error) {
	if err = from.QueryRow(ctx, countPending, store.Micros(time.Now()), portal, Backfill, rule).Scan(&n); err != nil {
		return 0, fmt.Errorf("count runs: %w", err)
	}
	return n, nil
}

// Tally counts runs of backfills of a portal by state: the unfinished runs of all
// backfills (a later backfill joins them), and the ended runs of pages with this
// code whose event ID is since or higher. An unfinished run that an event of the
// portal has joined is not counted. rule "" counts those of all rules.
func Tally(ctx context.Context, from store.Reader, portal, code, rule string, since int64) (map[State]int, error) {
	return countStates(ctx, from, tallyRuns, store.Micros(time.Now()), portal, Backfill, rule, since, code)
}

const countStarted = `SELECT COUNT(*) FROM b24_run r WHERE r.portal = $1 AND r.rule = $2 AND r.state IN ('waiting', 'blocked', 'queued') AND r.started_at > 0`

// Started counts the waiting runs of a rule in a portal that have started and not ended: they were killed,
// interrupted or have failed. What a killed one has written is not known before it has run.
func Started(ctx context.Context, from store.Reader, portal, rule string) (n int, err error) {
	if err = from.QueryRow(ctx, countStarted, portal, rule).Scan(&n); err != nil {
		err = fmt.Errorf("count runs that have started: %w", err)
	}
	return n, err
}

// Counts are numbers of stored events and runs.
type Counts struct {
	Events int
	NoRule int           // of these, without a rule
	Runs   map[State]int // by state; see also Backlogs
}

// Count counts the stored events and runs.
func Count(ctx context.Context, from store.Reader) (c Counts, err error) {
	err = from.QueryRow(ctx, `
SELECT (SELECT COUNT(*) FROM b24_event), (SELECT COUNT(*) FROM b24_event WHERE routes = 0)`).Scan(&c.Events, &c.NoRule)
	if err != nil {
		return Counts{}, fmt.Errorf("count events: %w", err)
	}
	c.Runs, err = countStates(ctx, from, `SELECT CASE WHEN `+WhereAsleep+` THEN 'asleep' ELSE r.state END AS shown, COUNT(*) FROM b24_run r GROUP BY shown`, store.Micros(time.Now()))
	return c, err
}

// countStates reads rows of a state and a number of runs.
func countStates(ctx context.Context, from store.Reader, text string, args ...any) (map[State]int, error) {
	counts := map[State]int{}
	_, err := store.All(ctx, from, "count runs", func(row store.Row) (state State, err error) {
		var n int
		err = row.Scan(&state, &n)
		if n > 0 {
			counts[state] += n
		}
		return state, err
	}, text, args...)
	return counts, err
}
