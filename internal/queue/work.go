package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Work executes due runs with do until ctx ends. Then it lets running runs finish
// and returns nil. After Options.Grace it cancels their context; a run that then
// returns an error waits again, and this does not count as an attempt. Work does not
// return before do has. If the database cannot be used any more, Work ends the same way,
// with the reason.
//
// The result of do decides: nil, the run has succeeded; Postpone, it waits;
// Park, it is parked; any other error or a panic, it is tried again later, or
// parked after the last attempt.
func (q *Queue) Work(ctx context.Context, do func(ctx context.Context, r *Run) error) error {
	if !q.working.CompareAndSwap(false, true) {
		return errors.New("queue: Work is running already")
	}
	defer q.working.Store(false)
	if err := q.Lock(ctx); err != nil {
		return unlessEnded(ctx, err)
	}
	defer q.endLock(context.WithoutCancel(ctx))
	ctx, end := context.WithCancel(ctx)
	defer end()
	runs, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	p := &pool{q: q, do: do, ctx: runs, shards: shards{any: !q.db.Leases(), workers: q.options.Workers, byName: map[string]*shard{}}}
	q.writes.pool.Store(p)
	defer q.writes.pool.Store(nil)
	// A transaction that is running does not claim yet: the first look of the pool comes
	// after it.
	if err := q.writes.do(ctx, func(context.Context, *tx) error { return nil }); err != nil {
		return unlessEnded(ctx, err)
	}
	var wg sync.WaitGroup
	ended := make(chan struct{})
	look := func() {}
	if q.db.Leases() {
		h := q.newHolder(p)
		look = h.Look
		wg.Go(func() { h.Run(ctx, ended) })
	}
	wg.Go(func() { p.loop(ctx) })
	var failed error
	wg.Go(func() {
		if failed = q.db.Watch(ctx, q.options.Log, func(news string) { q.received(news, look) }); failed != nil {
			end()
		}
	})
	<-ctx.Done()
	p.stop()
	grace := time.AfterFunc(q.options.Grace, cancel)
	p.running.Wait()
	grace.Stop()
	close(ended)
	wg.Wait()
	return failed
}

// unlessEnded returns nil if ctx has ended, because that is no failure of Work.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// insist repeats a write about a run until it succeeds or ctx ends, such as on a
// full disk.
func (q finisher) insist(ctx context.Context, what string, run int64, write func(ctx context.Context) error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := write(context.WithoutCancel(ctx))
		if err == nil || errors.Is(err, errNotOurs) {
			return
		}
		q.options.Log.ErrorContext(ctx, "cannot "+what+", trying again", slog.Int64("run", run), slog.Any("error", err))
		if wakeup.Sleep(ctx, wait) != nil {
			return
		}
	}
}

const (
	// An older version of the program blocks and queues runs. This waits for its claims
	// that are being stored, so selectRunning finds them.
	dequeueAll = `UPDATE b24_run SET state = 'waiting' WHERE state IN ('blocked', 'queued') AND ($1 = '' OR portal = $1)`

	selectRunning = `SELECT r.id, r.attempt FROM b24_run r WHERE r.state = 'running' AND ($1 = '' OR r.portal = $1) ORDER BY r.id`
)

// recover makes all running runs of a portal ("" for all) wait again. The caller
// calls it when no process works the portal and only this one may.
func (q *Queue) recover(ctx context.Context, t *tx, portal string) error {
	if _, err := t.Exec(ctx, dequeueAll, portal); err != nil {
		return err
	}
	running, err := store.All(ctx, t, "", func(row store.Row) (i journal.Run, err error) { // not those that end just now
		err = row.Scan(&i.ID, &i.Attempt)
		return i, err
	}, selectRunning+t.ForUpdate("r"), portal)
	if err != nil {
		return err
	}
	due, notBefore := q.safeAfter()
	for _, r := range running {
		if _, err := requeue(ctx, t, r.ID, turn{due: due, notBefore: notBefore, attempt: r.Attempt - 1, restart: true, atOnce: true}); err != nil {
			return err
		}
	}
	return nil
}
