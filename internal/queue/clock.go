package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/store"
)

// lateRuns are waiting runs whose time is further away than any rule, failure or portal
// asks for: a clock that was ahead has stored it. Among them are the sleeping ones.
const lateRuns = `
SELECT r.id, r.portal, r.entity FROM b24_run r
WHERE r.state = 'waiting' AND (r.opened_at > $1 OR r.due_at > $2) AND r.id > $3 AND r.id <= $4
ORDER BY r.id LIMIT $5`

const startLateRun = `
UPDATE b24_run SET
    first_at = CASE WHEN first_at > $2 THEN $2 ELSE first_at END,
    opened_at = CASE WHEN opened_at > $2 THEN $2 ELSE opened_at END,
    due_at = $3,
    not_before = CASE WHEN not_before > $3 THEN $3 ELSE not_before END
WHERE id = $1 AND state = 'waiting'`

// ClockSetBack repairs the times of waiting runs after the clock of this process was set
// back. What was stored while it was ahead would wait until that time comes again: such
// runs start now. Sleeping runs start too, and plan their next run again.
func (q Input) ClockSetBack(ctx context.Context) error {
	type late struct {
		id             int64
		portal, entity string
	}
	var last, end int64 // runs that sleep again are not started a second time
	if err := q.db.Read.QueryRow(ctx, `SELECT COALESCE(MAX(id), 0) FROM b24_run`).Scan(&end); err != nil {
		return fmt.Errorf("repair times after the clock was set back: %w", err)
	}
	for last < end {
		next := end
		err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
			now := clock()
			due, _ := finisher(q).safeAfter() // the portal may still process the last request of a run
			page, err := store.All(ctx, t, "", func(row store.Row) (l late, err error) {
				err = row.Scan(&l.id, &l.portal, &l.entity)
				return l, err
			}, lateRuns, store.Micros(now), store.Micros(due.Add(q.options.RetryMax)), last, end, maxPage)
			if err != nil {
				return err
			}
			if len(page) == maxPage {
				next = page[len(page)-1].id
			}
			slices.SortFunc(page, func(a, b late) int {
				return strings.Compare(entityKey(a.portal, a.entity), entityKey(b.portal, b.entity))
			})
			for _, l := range page {
				if _, err := t.Exec(ctx, startLateRun, l.id, store.Micros(now), store.Micros(due)); err != nil {
					return err
				}
				t.touch(q.base, l.portal, due)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("repair times after the clock was set back: %w", err)
		}
		last = next
	}
	return nil
}
