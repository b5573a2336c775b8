package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// sweepBatch bounds how many rows one transaction deletes, and sweepPause is the
	// time between two of them: events go first.
	sweepBatch = 200
	sweepPause = 20 * time.Millisecond
)

const (
	sweepTombstones = `DELETE FROM b24_tombstone WHERE seen_at <= $1`

	// The attempts of a run and its links to events are deleted with it. The list of
	// states is that of the index.
	sweepRuns = `
DELETE FROM b24_run WHERE id IN (` + selectOldRuns + `)`

	selectOldRuns = `
SELECT id FROM b24_run
WHERE state IN ('succeeded', 'parked', 'discarded') AND state = $1 AND finished_at < $2
ORDER BY finished_at LIMIT $3`

	selectOldEvents = `
SELECT id, received_at FROM b24_event
WHERE received_at < $1 AND (received_at, id) > ($2, $3)
ORDER BY received_at, id LIMIT $4`

	// An event of a run is kept as long as the run: see sweepRuns. One that rule sets have
	// not seen is kept until they have: see RouteAgain.
	sweepEvent = `
DELETE FROM b24_event WHERE id = $1 AND missing = ''
AND NOT EXISTS (SELECT 1 FROM b24_run_event WHERE event_id = $1)`
)

// Retain deletes the runs, events and tombstones whose retention is over.
func (q Retention) Retain(ctx context.Context) error {
	now := clock()
	err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.Exec(ctx, sweepTombstones, store.Micros(now.Add(-tombstoneRetention)))
		return err
	})
	if err != nil {
		return fmt.Errorf("delete old tombstones: %w", err)
	}
	for _, over := range []struct {
		state journal.State
		keep  time.Duration
	}{{journal.Succeeded, q.options.RetainSucceeded}, {journal.Discarded, q.options.RetainDiscarded}, {journal.Parked, q.options.RetainParked}} {
		if over.keep < 0 {
			continue
		}
		if err := q.sweepRuns(ctx, over.state, now.Add(-over.keep)); err != nil {
			return fmt.Errorf("delete old %s runs: %w", over.state, err)
		}
	}
	if q.options.RetainEvents < 0 {
		return nil
	}
	if err := q.sweepEvents(ctx, now.Add(-q.options.RetainEvents)); err != nil {
		return fmt.Errorf("delete old events: %w", err)
	}
	return nil
}

func (q Retention) sweepRuns(ctx context.Context, state journal.State, before time.Time) error {
	for {
		var n int64
		err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) (err error) {
			n, err = t.Exec(ctx, sweepRuns, string(state), store.Micros(before), sweepBatch)
			return err
		})
		if err != nil || n < sweepBatch {
			return err
		}
		if err := wakeup.Sleep(ctx, sweepPause); err != nil {
			return err
		}
	}
}

// sweepEvents deletes old events without a run.
func (q Retention) sweepEvents(ctx context.Context, before time.Time) error {
	for last := (oldEvent{}); ; {
		old, err := q.oldEvents(ctx, before, last)
		if err != nil || len(old) == 0 {
			return err
		}
		err = q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
			for _, e := range old {
				if _, err := t.Exec(ctx, sweepEvent, e.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		last = old[len(old)-1]
		if err := wakeup.Sleep(ctx, sweepPause); err != nil {
			return err
		}
	}
}

type oldEvent struct{ id, received int64 }

// oldEvents returns the next events after last that are older than a time.
func (q Retention) oldEvents(ctx context.Context, before time.Time, last oldEvent) ([]oldEvent, error) {
	return store.All(ctx, q.db.Read, "", func(row store.Row) (oldEvent, error) {
		var e oldEvent
		err := row.Scan(&e.id, &e.received)
		return e, err
	}, selectOldEvents, store.Micros(before), last.received, last.id, sweepBatch)
}
