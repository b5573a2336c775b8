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

	"github.com/riverqueue/river"
)

const (
	// fetchCooldown is the least time between two looks of a portal's queue
	// for jobs. Longer, and a burst is taken in fewer transactions; shorter,
	// and an event is worked sooner.
	fetchCooldown = 5 * time.Millisecond

	// fetchPoll is how often a queue looks without being told to. It is told of
	// every job (see bell and backlog), so this is for what nobody thought of.
	fetchPoll = 30 * time.Second

	// jobsKept is how long River keeps finished jobs. The runs are history enough.
	jobRetention = time.Minute

	jobKind   = "b24rules_run"
	idleQueue = "idle" // River wants at least one queue before it knows any portal
)

// runArgs summon a worker to a run.
type runArgs struct {
	Run    int64  `json:"run"`
	Entity string `json:"entity"`
}

// Kind implements river.JobArgs.
func (runArgs) Kind() string { return jobKind }

// Work executes due runs with do until ctx ends, then lets those under way
// finish and returns nil. Past Options.Grace it cancels their context; a run
// that then returns an error goes back to the waiting ones, and that was no
// attempt. Work does not return before do has.
//
// What do returns decides: nil, the run has succeeded; Postpone, it waits;
// Park, it is parked; any other error or a panic, it is tried again later, or
// parked after the last attempt.
func (q *Queue) Work(ctx context.Context, do func(ctx context.Context, r *Run) error) error {
	if !q.working.CompareAndSwap(false, true) {
		return errors.New("queue: Work is under way already")
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
		h := newHolder(q, d)
		look = h.wake.Send
		wg.Go(func() { h.loop(ctx, d.client.stopped()) })
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

// unlessEnded forgets an error that only says that ctx has ended: to Work,
// that is no failure.
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

// Work implements river.Worker. To River every job succeeds: how the run went
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
	if !s.lease.enter() {
		return nil // whoever has the portal next hands the run on anew
	}
	defer s.lease.leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.lease.ctx, func() { cancel(context.Cause(s.lease.ctx)) })()
	w.run(ctx, s, job.Args)
	return nil
}

// run executes a run, unless it does not wait for that: a summons was left over.
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

// call keeps a panic from taking the process down: it is one run's failure.
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

// claim begins a queued run. It returns nil when the run is not queued (any
// more), which makes jobs harmless that nobody waits for, and when the lease
// of the shard, if it has one, is not ours any more.
func (q *Queue) claim(ctx context.Context, s *shard, a runArgs) (r *Run) {
	id, number := a.Run, 1+rand.Int64N(math.MaxInt64-1)
	text, args := claimRun, []any{id, micros(time.Now()), number}
	if s.lease != nil {
		text, args = claimRun+underLease, append(args, s.lease.token)
	}
	q.insist(ctx, "begin a run", id, entityKey(s.portal, a.Entity), func(ctx context.Context, t *tx) error {
		r = nil
		if _, err := t.exec(ctx, text, args...); err != nil {
			return err
		}
		// By its number, so that a repetition finds what the first try has claimed.
		info, err := scanInfo(t.queryRow(ctx, selectInfo+` WHERE r.id = $1 AND r.claim = $2`, id, number))
		if err != nil {
			return noRow(err, nil)
		}
		r = &Run{Info: info, q: q, claim: number}
		t.afterCommit(q.changes.send)
		return nil
	})
	return r
}

// insist repeats a write about a run for as long as the database refuses it (a
// full disk) and ctx has not ended.
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

	// First those that nobody has claimed: a claim that is being made holds this
	// up, and then the run is among the running ones.
	dequeueAll    = `UPDATE b24_run SET state = 'waiting' WHERE state IN ('blocked', 'queued') AND ($1 = '' OR portal = $1)`
	selectRunning = `SELECT id FROM b24_run WHERE state = 'running' AND ($1 = '' OR portal = $1) ORDER BY id`
)

// recover makes every run of a portal ("" for all) that is under way a waiting
// one, for a time when none can be: nobody works it, and nobody but us may. Jobs
// of the past go too; they would do no harm, but there may be many.
func (q *Queue) recover(ctx context.Context, t *tx, portal string) error {
	queue := ""
	if portal != "" {
		queue = portalQueue(portal)
	}
	if _, err := t.exec(ctx, clearJobs, jobKind, queue); err != nil {
		return err
	}
	if _, err := t.exec(ctx, dequeueAll, portal); err != nil {
		return err
	}
	running, err := ids(t.query(ctx, selectRunning, portal))
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

// noRow turns the error of a row that is not there into another.
func noRow(err, into error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return into
	}
	return err
}

func ids(rows rows, err error) ([]int64, error) {
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
