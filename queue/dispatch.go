package queue

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
)

const (
	// dispatchBatch bounds how many runs are handed to River in one transaction.
	dispatchBatch = 200

	// dispatchRetry is the wait after a dispatch that failed, as on a full disk.
	dispatchRetry = time.Second

	// backlogRing is how often queues are told of jobs that they were told of
	// before. See backlog.
	backlogRing = time.Second

	// sweepEvery is how often tombstones are looked through.
	sweepEvery = time.Hour
)

// A dispatcher hands runs to River when they are due. It sleeps until the next
// due time or until somebody touches the queue.
type dispatcher struct {
	q      *Queue
	client *river.Client[*sql.Tx]
	bell   *bell
	queues map[string]bool // River queues that exist by now
	swept  time.Time

	backlog backlog
}

func (d *dispatcher) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.q.due:
		case <-timer.C:
		}
		wait, err := d.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			d.q.options.Log.ErrorContext(ctx, "cannot start due runs, trying again", slog.Any("error", err))
			wait = dispatchRetry
		}
		if late := d.backlog.queues(); len(late) > 0 {
			for _, queue := range late {
				d.wake(ctx, queue)
			}
			wait = min(wait, backlogRing)
		}
		timer.Reset(wait)
	}
}

// dispatch hands on all that is due and returns the time until it has to look
// again.
func (d *dispatcher) dispatch(ctx context.Context) (wait time.Duration, err error) {
	if time.Since(d.swept) >= sweepEvery {
		if err := d.q.sweep(ctx); err != nil {
			return 0, err
		}
		d.swept = time.Now()
	}
	for {
		next, err := d.q.nextDue(ctx)
		if err != nil {
			return 0, err
		}
		if next.IsZero() {
			return sweepEvery, nil
		}
		if wait = time.Until(next); wait > 0 {
			return min(wait, sweepEvery), nil
		}
		if err := d.hand(ctx); err != nil {
			return 0, err
		}
	}
}

func (q *Queue) nextDue(ctx context.Context) (time.Time, error) {
	var due sql.NullInt64
	err := q.db.read.QueryRowContext(ctx, `SELECT MIN(due_at) FROM b24_run WHERE state = 'waiting'`).Scan(&due)
	if err != nil {
		return time.Time{}, fmt.Errorf("next due time: %w", err)
	}
	return fromMicros(due.Int64), nil
}

func (q *Queue) sweep(ctx context.Context) error {
	return q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM b24_tombstone WHERE seen_at <= $1`, micros(time.Now().Add(-tombstoneLife)))
		return err
	})
}

const (
	selectDue = `
SELECT id, portal FROM b24_run
WHERE state = 'waiting' AND due_at <= $1
ORDER BY due_at, id LIMIT $2`

	handRun = `
UPDATE b24_run SET state = CASE WHEN EXISTS (
        SELECT 1 FROM b24_run b
        WHERE b.portal = b24_run.portal AND b.entity = b24_run.entity AND b.state IN ('queued', 'running'))
    THEN 'blocked' ELSE 'queued' END
WHERE id = $1 AND state = 'waiting'
RETURNING state`
)

// hand gives due runs to River, oldest first, and blocks those whose entity is
// busy: whoever keeps it busy wakes them (see unblock).
func (d *dispatcher) hand(ctx context.Context) error {
	handed := map[string]int{}
	err := d.q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		due, err := dueRuns(ctx, t)
		if err != nil {
			return err
		}
		var jobs []river.InsertManyParams
		for _, r := range due {
			var state State
			if err := t.queryRow(ctx, handRun, r.id).Scan(&state); err != nil {
				return err
			}
			if state == Queued {
				queue := portalQueue(r.portal)
				handed[queue]++
				jobs = append(jobs, river.InsertManyParams{Args: runArgs{Run: r.id}, InsertOpts: &river.InsertOpts{Queue: queue}})
			}
		}
		if len(jobs) == 0 {
			return nil
		}
		_, err = d.client.InsertManyFastTx(ctx, t.Tx, jobs)
		return err
	})
	if err != nil {
		return fmt.Errorf("hand due runs to river: %w", err)
	}
	for queue, n := range handed {
		d.backlog.add(queue, n)
		d.wake(ctx, queue)
	}
	return nil
}

type dueRun struct {
	id     int64
	portal string
}

func dueRuns(ctx context.Context, t *tx) ([]dueRun, error) {
	rows, err := t.query(ctx, selectDue, micros(time.Now()), dispatchBatch)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var due []dueRun
	for rows.Next() {
		var r dueRun
		if err := rows.Scan(&r.id, &r.portal); err != nil {
			return nil, err
		}
		due = append(due, r)
	}
	return due, rows.Err()
}

// wake tells a River queue of jobs; the first time, it starts it, and a queue
// that starts looks by itself. If it does not start, the backlog leads back here.
func (d *dispatcher) wake(ctx context.Context, queue string) {
	if d.queues[queue] {
		d.bell.ring(queue)
		return
	}
	if err := d.client.Queues().Add(queue, river.QueueConfig{MaxWorkers: d.q.options.Workers}); err != nil {
		if ctx.Err() == nil {
			d.q.options.Log.ErrorContext(ctx, "cannot start a river queue, trying again", slog.String("queue", queue), slog.Any("error", err))
		}
		_ = d.client.Queues().Remove(ctx, queue) // or it counts as there
		return
	}
	d.queues[queue] = true
}

// A backlog counts the jobs that each River queue was given and has not begun.
//
// River (v0.49.0) looks for as many jobs as it has free workers, and does not
// look again for a worker that gets free meanwhile: it would idle until
// another job ends. So while there is a backlog, the bell keeps ringing.
type backlog struct {
	mu   sync.Mutex
	jobs map[string]int
}

func (b *backlog) add(queue string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.jobs == nil {
		b.jobs = map[string]int{}
	}
	if b.jobs[queue] += n; b.jobs[queue] == 0 {
		delete(b.jobs, queue)
	}
}

func (b *backlog) queues() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.jobs))
}
