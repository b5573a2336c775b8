package queue

import (
	"context"
	"fmt"
	"time"
)

// CauseCount is how many runs of a rule in a portal have failed because of one cause.
type CauseCount struct {
	Cause, Portal, Rule string
	Runs                int
	First, Last         time.Time // when the first and the last of them ended; zero for runs that wait
	Newest              int64     // the number of the newest of them
}

const (
	countCauses = `
SELECT r.cause, r.portal, r.rule, COUNT(*), MIN(r.finished_at), MAX(r.finished_at), MAX(r.id) FROM b24_run r`

	groupCauses = ` GROUP BY r.cause, r.portal, r.rule ORDER BY r.cause, r.portal, r.rule`
)

// Causes counts the runs that f selects by cause, portal and rule.
func (q *Queue) Causes(ctx context.Context, f Filter) ([]CauseCount, error) {
	where, args := f.conditions()
	rows, err := q.db.read.Query(ctx, countCauses+where+groupCauses, args...)
	if err != nil {
		return nil, fmt.Errorf("count causes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []CauseCount
	for rows.Next() {
		var (
			c           CauseCount
			first, last int64
		)
		if err := rows.Scan(&c.Cause, &c.Portal, &c.Rule, &c.Runs, &first, &last, &c.Newest); err != nil {
			return nil, fmt.Errorf("count causes: %w", err)
		}
		c.First, c.Last = fromMicros(first), fromMicros(last)
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count causes: %w", err)
	}
	return all, nil
}
