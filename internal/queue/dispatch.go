package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/internal/store"

	"github.com/riverqueue/river"
)

const (
	// dispatchBatch bounds how many runs River receives in one transaction.
	dispatchBatch = 200

	// dispatchRetry is the wait after a dispatch that failed, as on a full disk.
	dispatchRetry = time.Second

	// lockedRetry is the wait for a due run that another process is changing.
	lockedRetry = 50 * time.Millisecond

	// notifyEvery is how often queues are notified again of jobs that have not
	// started. See shard.
	notifyEvery = time.Second

	// lookEvery is how often the dispatcher looks without being woken.
	lookEvery = time.Minute
)

// A dispatcher gives runs to River when they are due. It sleeps until the next
// due time or until the queue is touched.
type dispatcher struct {
	q        *Queue
	client   riverClient
	notifier *notifier
	shards   shards
}

func (d *dispatcher) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	d.q.touched.addAll()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.q.touched.wake:
		case <-timer.C:
		}
		wait, err := d.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			d.q.options.Log.ErrorContext(ctx, "cannot start due runs, trying again", slog.Any("error", err))
			d.q.touched.addAllQuietly() // look at the same portals again, but not before the wait is over
			wait = dispatchRetry
		}
		for _, s := range d.shards.all() {
			if s.notStarted() > 0 {
				d.wake(ctx, s)
				wait = min(wait, notifyEvery)
			}
			wait = min(wait, max(time.Until(s.checked.next), notifyEvery))
		}
		timer.Reset(wait)
	}
}

// dispatch enqueues all due runs and returns the time until it has to look again.
func (d *dispatcher) dispatch(ctx context.Context) (wait time.Duration, err error) {
	portals, all := d.q.touched.take()
	if all {
		if d.shards.any {
			if portals, err = d.q.waitingPortals(ctx); err != nil {
				return 0, err
			}
		}
		for _, s := range d.shards.all() {
			portals[s.portal] = true
		}
	}
	now := time.Now()
	for portal := range portals {
		if s := d.shards.of(portal); s != nil {
			s.next = now
		}
	}
	if err := d.check(ctx); err != nil {
		return 0, err
	}
	for {
		due, wait := d.shards.due(lookEvery)
		if len(due) == 0 {
			return wait, nil
		}
		if err := d.enqueue(ctx, due); err != nil {
			return 0, err
		}
	}
}

const selectPortals = `SELECT DISTINCT portal FROM b24_run WHERE state = 'waiting'`

// waitingPortals returns the portals that have waiting runs.
func (q *Queue) waitingPortals(ctx context.Context) (map[string]bool, error) {
	rows, err := q.db.read.QueryContext(ctx, selectPortals)
	if err != nil {
		return nil, fmt.Errorf("portals with runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]bool{}
	for rows.Next() {
		var portal string
		if err := rows.Scan(&portal); err != nil {
			return nil, fmt.Errorf("portals with runs: %w", err)
		}
		all[portal] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("portals with runs: %w", err)
	}
	return all, nil
}

const (
	selectDue = `
SELECT id, entity FROM b24_run
WHERE state = 'waiting' AND portal = $1 AND priority = $2 AND due_at <= $3 AND ` + notPaused + `
ORDER BY due_at, id LIMIT $4`

	selectNext = `
SELECT due_at FROM b24_run
WHERE state = 'waiting' AND portal = $1 AND priority = $2 AND ` + notPaused + `
ORDER BY due_at, id LIMIT 1`

	enqueueRun = `
UPDATE b24_run SET state = CASE WHEN EXISTS (
        SELECT 1 FROM b24_run b
        WHERE b.portal = b24_run.portal AND b.entity = b24_run.entity AND b.state IN ('queued', 'running'))
    THEN 'blocked' ELSE 'queued' END
WHERE id = $1 AND state = 'waiting'
RETURNING state`
)

// enqueued is the result of one look at a shard.
type enqueued struct {
	jobs [priorities]int
	next time.Time // when to look again; zero: when the shard is touched
}

// enqueue gives due runs of the shards to River, live ones first, and notes when
// to look at each shard again. It blocks the runs whose entity is busy: the end of
// the run that keeps the entity busy unblocks them (see unblock).
func (d *dispatcher) enqueue(ctx context.Context, due []*shard) error {
	results := make([]enqueued, len(due))
	err := d.q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		var jobs []river.InsertManyParams
		for i, s := range due {
			h, some, err := s.enqueue(ctx, t)
			if err != nil {
				return err
			}
			results[i] = h
			jobs = append(jobs, some...)
		}
		if len(jobs) == 0 {
			return nil
		}
		return d.client.insert(ctx, t, jobs)
	})
	if err != nil {
		return fmt.Errorf("enqueue due runs: %w", err)
	}
	for i, s := range due {
		s.next = results[i].next
		if s.given(results[i].jobs) {
			d.wake(ctx, s)
		}
	}
	return nil
}

// enqueue enqueues as many due runs as there is room for.
func (s *shard) enqueue(ctx context.Context, t *tx) (h enqueued, jobs []river.InsertManyParams, err error) {
	if !s.mayStart() {
		return enqueued{}, nil, nil
	}
	now := time.Now()
	for p := range Priority(priorities) {
		room := min(s.room(p)-len(jobs), dispatchBatch)
		if room <= 0 {
			return h, jobs, nil // the end of a run makes room, and touches the queue
		}
		due, err := dueRuns(t.Query(ctx, selectDue+t.skipLocked(), s.portal, p, micros(now), room))
		if err != nil {
			return enqueued{}, nil, err
		}
		for _, r := range due {
			var state State
			if err := t.QueryRow(ctx, enqueueRun, r.Run).Scan(&state); err != nil {
				return enqueued{}, nil, err
			}
			if state == Queued {
				h.jobs[p]++
				jobs = append(jobs, river.InsertManyParams{
					Args: r, InsertOpts: &river.InsertOpts{Queue: s.queue, Priority: 1 + int(p)},
				})
			}
		}
		if len(due) == room {
			h.next = now // there may be more
			return h, jobs, nil
		}
		var next int64
		switch err := t.QueryRow(ctx, selectNext, s.portal, p).Scan(&next); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return enqueued{}, nil, err
		default:
			at := fromMicros(next)
			if !at.After(now) {
				at = now.Add(lockedRetry)
			}
			if h.next.IsZero() || at.Before(h.next) {
				h.next = at
			}
		}
	}
	return h, jobs, nil
}

func dueRuns(rows store.Rows, err error) ([]runArgs, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []runArgs
	for rows.Next() {
		var r runArgs
		if err := rows.Scan(&r.Run, &r.Entity); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// wake notifies a shard's River queue of jobs. The first time it starts the queue
// instead, because a queue that starts looks for jobs. If the queue does not
// start, loop calls wake again.
func (d *dispatcher) wake(ctx context.Context, s *shard) {
	s.starting.Lock()
	defer s.starting.Unlock()
	switch {
	case s.closed:
		return
	case s.started:
		d.notifier.notify(s.queue)
		return
	}
	if err := d.client.addQueue(s.queue, d.q.options.Workers); err != nil {
		if ctx.Err() == nil {
			d.q.options.Log.ErrorContext(ctx, "cannot start a river queue, trying again", slog.String("queue", s.queue), slog.Any("error", err))
		}
		_ = d.client.removeQueue(ctx, s.queue) // or the next addQueue fails
		return
	}
	s.started = true
}

// close ends a portal's shard. None of its runs may be running. all: River as a
// whole is stopping, and stops this queue too.
func (d *dispatcher) close(ctx context.Context, portal string, all bool) {
	s := d.shards.remove(portal)
	if s == nil {
		return
	}
	s.starting.Lock()
	defer s.starting.Unlock()
	s.closed = true
	if !s.started || all {
		return
	}
	if err := d.client.removeQueue(ctx, s.queue); err != nil {
		d.q.options.Log.WarnContext(ctx, "cannot stop a river queue", slog.String("queue", s.queue), slog.Any("error", err))
	}
}
