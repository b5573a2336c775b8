package queue

import (
	"context"
	"fmt"
)

// Tally counts the runs of a portal that backfills with this code have begun,
// by state: those whose page was stored as event since or later. A run that an
// event of the portal has joined meanwhile is no longer counted. rule "" counts
// those of all rules.
func (q *Queue) Tally(ctx context.Context, portal, code, rule string, since int64) (map[State]int, error) {
	rows, err := q.db.read.QueryContext(ctx, `
SELECT r.state, COUNT(*) FROM b24_run r JOIN b24_event e ON e.id = r.event_id
WHERE r.event_id >= $1 AND e.portal = $2 AND e.code = $3 AND ($4 = '' OR r.rule = $4)
GROUP BY r.state`, since, portal, code, rule)
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
