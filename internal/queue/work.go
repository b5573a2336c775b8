package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/store"

	"github.com/riverqueue/river"
)

const (
	// fetchCooldown is the shortest time between two fetches of a portal's queue. A
	// longer one would fetch a burst in fewer transactions; a shorter one would start
	// a run sooner.
	fetchCooldown = 5 * time.Millisecond

	// fetchPoll is how often a queue fetches jobs without a notification. It is
	// notified of every job (see notifier and shard), so this is only a safety net.
	fetchPoll = 30 * time.Second

	// jobRetention is how long River stores finished jobs. The runs are the history.
	jobRetention = time.Minute

	jobKind   = "b24rules_run"
	idleQueue = "idle" // River requires a queue before the first portal is known
)

// runArgs name the run that a job starts.
type runArgs struct {
	Run    int64  `json:"run"`
	Entity string `json:"entity"`
}

// Kind implements river.JobArgs.
func (runArgs) Kind() string { return jobKind }

// Work executes due runs with do until ctx ends. Then it lets running runs finish
// and returns nil. After Options.Grace it cancels their context; a run that then
// returns an error waits again, and this does not count as an attempt. Work does not
// return before do has.
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
	b := newNotifier()
	d := &dispatcher{q: q, notifier: b, shards: newShards(!q.db.leases(), q.options.Workers)}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &worker{q: q, do: do, shards: &d.shards}); err != nil {
		return fmt.Errorf("river: %w", err)
	}
	var err error
	if d.client, err = q.db.newRiver(q.riverConfig(workers), b); err != nil {
		return err
	}
	if err := d.client.start(ctx); err != nil {
		return unlessEnded(ctx, fmt.Errorf("river: %w", err))
	}
	var wg sync.WaitGroup
	look := func() {}
	if q.db.leases() {
		h := q.newHolder(d)
		look = h.Look
		wg.Go(func() { h.Run(ctx, d.client.stopped()) })
	}
	wg.Go(func() { d.loop(ctx) })
	wg.Go(func() { q.sweeping(ctx) })
	wg.Go(func() { q.db.watch(ctx, q.options.Log, func(news string) { q.received(news, look) }) })
	<-d.client.stopped()
	wg.Wait()
	return nil
}

func (q *Queue) riverConfig(workers *river.Workers) *river.Config {
	return &river.Config{
		CompletedJobRetentionPeriod: jobRetention,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           fetchPoll,
		JobTimeout:                  -1, // the rule's own limits end a run
		Logger:                      quiet(q.options.Log),
		Queues:                      map[string]river.QueueConfig{idleQueue: {MaxWorkers: 1}},
		ReindexerIndexNames:         []string{}, // it would hold up every write on SQLite
		SoftStopTimeout:             q.options.Grace,
		Workers:                     workers,
	}
}

// unlessEnded returns nil if ctx has ended, because that is no failure of Work.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type worker struct {
	river.WorkerDefaults[runArgs]
	q      *Queue
	do     func(ctx context.Context, r *Run) error
	shards *shards
}

// Work implements river.Worker. For River every job succeeds: the result of the run
// is in its row.
func (w *worker) Work(ctx context.Context, job *river.Job[runArgs]) error {
	s := w.shards.ofQueue(job.Queue)
	if s == nil {
		return nil
	}
	s.start(job.Args.Run)
	defer func() {
		s.end(job.Args.Run, Priority(job.Priority-1))
		w.q.touched.add(s.portal) // there is room, and the entity is free
	}()
	if s.lease == nil {
		w.run(ctx, s, job.Args)
		return nil
	}
	if !s.lease.Enter() {
		return nil // the next holder of the portal enqueues the run again
	}
	defer s.lease.Leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.lease.Context(), func() { cancel(context.Cause(s.lease.Context())) })()
	w.run(ctx, s, job.Args)
	return nil
}

// run executes a run, unless the job is an outdated one.
func (w *worker) run(ctx context.Context, s *shard, a runArgs) {
	r := w.q.claim(ctx, s, a)
	if r == nil {
		return
	}
	err := context.Cause(ctx) // the lease may have been lost before the claim was made
	if err == nil {
		err = w.call(ctx, r)
	}
	w.q.finish(ctx, r, err)
}

// call prevents a panic from ending the process: it is a failure of one run.
func (w *worker) call(ctx context.Context, r *Run) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return w.do(ctx, r)
}

const claimRun = `
UPDATE b24_run SET
    state = 'running',
    claim = $3,
    attempt = attempt + 1,
    started_at = $2,
    not_before = 0,
    deleted = (deleted OR EXISTS (
        SELECT 1 FROM b24_tombstone t
        WHERE t.portal = b24_run.portal AND t.entity = b24_run.entity))
WHERE id = $1 AND state = 'queued'`

// underLease is a further condition where portals have leases.
const underLease = ` AND EXISTS (SELECT 1 FROM b24_lease l WHERE l.portal = b24_run.portal AND l.token = $4)`

// claim makes a queued run running. It returns nil when the run is not queued, so
// that outdated jobs are harmless, and when the shard has a lease that is not ours
// any more.
func (q *Queue) claim(ctx context.Context, s *shard, a runArgs) (r *Run) {
	id, number := a.Run, 1+rand.Int64N(math.MaxInt64-1)
	text, args := claimRun, []any{id, micros(time.Now()), number}
	if s.lease != nil {
		text, args = claimRun+underLease, append(args, s.lease.Token())
	}
	q.insist(ctx, "start a run", id, entityKey(s.portal, a.Entity), func(ctx context.Context, t *tx) error {
		r = nil
		if _, err := t.Exec(ctx, text, args...); err != nil {
			return err
		}
		// A repetition finds the claim of the first try by its number.
		info, err := scanInfo(t.QueryRow(ctx, selectInfo+` WHERE r.id = $1 AND r.claim = $2`, id, number))
		if err != nil {
			return noRow(err, nil)
		}
		r = &Run{Info: info, q: q, claim: number}
		t.afterCommit(q.changes.send)
		return nil
	})
	return r
}

// insist repeats a write about a run until it succeeds or ctx ends, such as on a
// full disk.
func (q *Queue) insist(ctx context.Context, what string, run int64, key string, write func(ctx context.Context, t *tx) error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := q.writes.doFor(context.WithoutCancel(ctx), key, write)
		if err == nil {
			return
		}
		q.options.Log.ErrorContext(ctx, "cannot "+what+", trying again", slog.Int64("run", run), slog.Any("error", err))
		if pause(ctx, wait) != nil {
			return
		}
	}
}

const (
	clearJobs = `DELETE FROM river_job WHERE kind = $1 AND ($2 = '' OR queue = $2)`

	// This runs before selectRunning: it waits for a claim that is being stored, and
	// selectRunning then finds the run.
	dequeueAll    = `UPDATE b24_run SET state = 'waiting' WHERE state IN ('blocked', 'queued') AND ($1 = '' OR portal = $1)`
	selectRunning = `SELECT id FROM b24_run WHERE state = 'running' AND ($1 = '' OR portal = $1) ORDER BY id`
)

// recover makes all queued, blocked and running runs of a portal ("" for all) wait
// again. The caller calls it when no process works the portal and only this one
// may. It also deletes outdated jobs; they would do no harm, but can be many.
func (q *Queue) recover(ctx context.Context, t *tx, portal string) error {
	queue := ""
	if portal != "" {
		queue = portalQueue(portal)
	}
	if _, err := t.Exec(ctx, clearJobs, jobKind, queue); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, dequeueAll, portal); err != nil {
		return err
	}
	running, err := ids(t.Query(ctx, selectRunning, portal))
	if err != nil {
		return err
	}
	due, notBefore := q.safeAfter()
	for _, id := range running {
		if err := requeue(ctx, t, id, turn{due: due, notBefore: notBefore, atOnce: true}); err != nil {
			return err
		}
	}
	return nil
}

// noRow replaces the error of a missing row by another.
func noRow(err, into error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return into
	}
	return err
}

func ids(rows store.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, rows.Err()
}
