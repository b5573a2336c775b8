package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"
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
func (q *Queue) Backlogs(ctx context.Context) ([]Backlog, error) {
	rows, err := q.db.read.Query(ctx, `
SELECT r.portal, r.priority, CASE WHEN `+asleep+` THEN 'asleep' ELSE r.state END,
    COUNT(*), MIN(CASE WHEN NOT `+asleep+` AND `+startable+` THEN r.due_at END) FROM b24_run r
WHERE r.state IN ('waiting', 'blocked', 'queued', 'running', 'parked')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, micros(clock()))
	if err != nil {
		return nil, fmt.Errorf("count unfinished runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Backlog
	for rows.Next() {
		var (
			b   Backlog
			due sql.NullInt64
		)
		if err := rows.Scan(&b.Portal, &b.Priority, &b.State, &b.Runs, &due); err != nil {
			return nil, fmt.Errorf("count unfinished runs: %w", err)
		}
		b.Due = fromMicros(due.Int64)
		all = append(all, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count unfinished runs: %w", err)
	}
	return all, nil
}
