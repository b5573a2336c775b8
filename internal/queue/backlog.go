package queue

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
func (q History) Backlogs(ctx context.Context) ([]Backlog, error) {
	return store.All(ctx, q.db.read, "count unfinished runs", func(row store.Row) (Backlog, error) {
		var (
			b   Backlog
			due sql.NullInt64
		)
		err := row.Scan(&b.Portal, &b.Priority, &b.State, &b.Runs, &due)
		b.Due = fromMicros(due.Int64)
		return b, err
	}, `
SELECT r.portal, r.priority, CASE WHEN `+asleep+` THEN 'asleep' ELSE r.state END,
    COUNT(*), MIN(CASE WHEN NOT `+asleep+` AND `+startable+` THEN r.due_at END) FROM b24_run r
WHERE r.state IN ('waiting', 'blocked', 'queued', 'running', 'parked')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, micros(clock()))
}
