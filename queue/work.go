package queue

import (
	"context"
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
	jobsKept = time.Minute

	jobKind   = "b24rules_run"
	idleQueue = "idle" // River wants at least one queue before it knows any portal
)

// runArgs summon a worker to a run.
type runArgs struct {
	Run int64 `json:"run"`
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
	defer q.unlock()
	b := newBell()
	d := &dispatcher{q: q, bell: b, shards: newShards(q.options.Workers)}
	w := &worker{q: q, do: do, shards: &d.shards}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return fmt.Errorf("river: %w", err)
	}
	client, err := q.db.newRiver(&river.Config{
		CompletedJobRetentionPeriod: jobsKept,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           fetchPoll,
		JobTimeout:                  -1, // the rule's own limits end a run
		Logger:                      quiet(q.options.Log),
		Queues:                      map[string]river.QueueConfig{idleQueue: {MaxWorkers: 1}},
		ReindexerIndexNames:         []string{}, // SQLite need not reindex, and would hold up every write for it
		SoftStopTimeout:             q.options.Grace,
		Workers:                     workers,
	}, b)
	if err != nil {
		return err
	}
	if err := client.start(ctx); err != nil {
		return unlessEnded(ctx, fmt.Errorf("river: %w", err))
	}
	d.client = client
	var wg sync.WaitGroup
	wg.Go(func() { d.loop(ctx) })
	wg.Go(func() { q.sweeping(ctx) })
	wg.Go(func() { q.db.watch(ctx, q.options.Log, q.changed) })
	<-client.stopped()
	wg.Wait()
	return nil
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
	s.begin()
	defer func() {
		s.end(Priority(job.Priority - 1))
		w.q.touched.add(s.portal) // there is room, and the entity is free
	}()
	r := w.q.claim(ctx, job.Args.Run)
	if r == nil {
		return nil // a summons that was left over
	}
	err := w.call(ctx, r)
	w.q.finish(ctx, r, err)
	return nil
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

// claim begins a queued run. It returns nil when the run is not queued (any
// more), which makes jobs harmless that nobody waits for.
func (q *Queue) claim(ctx context.Context, id int64) (r *Run) {
	number := 1 + rand.Int64N(math.MaxInt64-1)
	q.insist(ctx, "begin a run", id, func(ctx context.Context, t *tx) error {
		r = nil
		if n, err := t.exec(ctx, claimRun, id, micros(time.Now()), number); err != nil || n == 0 {
			return err
		}
		info, err := scanInfo(t.queryRow(ctx, selectInfo+` WHERE r.id = $1`, id))
		if err != nil {
			return err
		}
		r = &Run{Info: info, q: q, claim: number}
		t.afterCommit(q.changes.send)
		return nil
	})
	return r
}

// insist repeats a write about a run for as long as the database refuses it (a
// full disk) and ctx has not ended.
func (q *Queue) insist(ctx context.Context, what string, run int64, write func(ctx context.Context, t *tx) error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := q.writes.do(context.WithoutCancel(ctx), write)
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
	clearJobs = `DELETE FROM river_job WHERE kind = $1`

	unhand = `UPDATE b24_run SET state = 'waiting' WHERE state IN ('blocked', 'queued')`
)

// recover makes every run that is under way a waiting one, for a time when
// none can be: nobody works it, and nobody but us may. Jobs of the past go too;
// they would do no harm, but there may be many.
func (q *Queue) recover(ctx context.Context) error {
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, clearJobs, jobKind); err != nil {
			return err
		}
		if _, err := t.exec(ctx, unhand); err != nil {
			return err
		}
		running, err := ids(t.query(ctx, `SELECT id FROM b24_run WHERE state = 'running' ORDER BY id`))
		if err != nil {
			return err
		}
		for _, id := range running {
			if err := requeue(ctx, t, id, turn{due: time.Now(), atOnce: true}); err != nil {
				return err
			}
		}
		t.touchAll(q)
		return nil
	})
	if err != nil {
		return fmt.Errorf("queue: return unfinished runs to the waiting ones: %w", err)
	}
	return nil
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
