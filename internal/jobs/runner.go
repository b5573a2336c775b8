package jobs

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

	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// lookEvery is how often a runner looks for due jobs, and for jobs that were cancelled.
const lookEvery = time.Second

// Kind is how jobs of a kind are executed.
type Kind struct {
	// Work executes a job until it is done or ctx ends. ctx ends with the program, with
	// the lease of the job's portal, and when the job is cancelled. The result decides:
	// nil, the job is done, or due again if it repeats; At, it is due then; Fail, it is
	// given up; any other error or a panic, it is tried again.
	Work func(ctx context.Context, j *Claimed) error

	// May, if not nil, reports whether the job with a key of a portal may start now: not
	// while the portal is held or unknown. Until then it waits.
	May func(portal, key string) bool

	// Attempts is after how many attempts without progress a job is given up. A job
	// that repeats then waits for its next due time. 0 means without limit.
	Attempts int

	// Retry is the wait after an attempt that failed, counted from 1. nil means 5
	// seconds, doubled up to 15 minutes.
	Retry func(attempt int) time.Duration
}

// Leases say which portals this process works. *lease.Set is one.
type Leases interface {
	// Holds returns nil when this process works the portal.
	Holds(portal string) error
	// Fence reports the same, and keeps other processes from taking the portal over
	// until the transaction ends.
	Fence(ctx context.Context, t store.Tx, portal string) (bool, error)
	// Context ends when this process no longer works the portal.
	Context(portal string) context.Context
}

// Runner executes jobs.
type Runner struct {
	table  *Table
	leases Leases
	kinds  map[string]Kind
	log    *slog.Logger

	mu      sync.Mutex
	running map[int64]*Claimed
}

// NewRunner returns a runner of the jobs of a table.
func NewRunner(t *Table, leases Leases, log *slog.Logger) *Runner {
	return &Runner{table: t, leases: leases, kinds: map[string]Kind{}, log: log, running: map[int64]*Claimed{}}
}

// Handle makes the runner execute jobs of a kind. Call it before Run.
func (r *Runner) Handle(kind string, k Kind) { r.kinds[kind] = k }

// Run executes due jobs until ctx ends, and returns when the last worker has. only, if
// not empty, is the portal whose jobs it executes.
func (r *Runner) Run(ctx context.Context, only string) {
	var workers sync.WaitGroup
	defer workers.Wait()
	logged := false
	for ctx.Err() == nil {
		err := r.look(ctx, only, &workers)
		if err != nil && ctx.Err() == nil && !logged {
			r.log.ErrorContext(ctx, "cannot read jobs, trying again", slog.Any("error", err))
		}
		logged = err != nil
		_ = wakeup.Sleep(ctx, lookEvery) // the loop sees the end
	}
}

// A dueJob is what look reads of a job.
type dueJob struct {
	id                int64
	portal, kind, key string
	claim             int64
}

const selectDue = `
SELECT id, portal, kind, key, claim FROM b24_job
WHERE state IN ('waiting', 'running') AND due_at <= $1 ORDER BY due_at, id`

// look starts the jobs that are due and stops those that were cancelled.
func (r *Runner) look(ctx context.Context, only string, workers *sync.WaitGroup) error {
	before := r.claims()
	due, err := store.All(ctx, r.table.db, "", func(row store.Row) (d dueJob, err error) {
		err = row.Scan(&d.id, &d.portal, &d.kind, &d.key, &d.claim)
		return d, err
	}, selectDue, store.Micros(time.Now()))
	if err != nil {
		return err
	}
	for _, d := range due {
		if before[d.id] == d.claim {
			delete(before, d.id)
		}
	}
	r.stop(before)
	for _, d := range due {
		k, known := r.kinds[d.kind]
		if !known || only != "" && d.portal != only || r.busy(d.id) || r.leases.Holds(d.portal) != nil || k.May != nil && !k.May(d.portal, d.key) {
			continue
		}
		j, err := r.claim(ctx, d)
		if err != nil {
			return err
		}
		if j != nil {
			working, cancel := context.WithCancelCause(ctx)
			j.cancel = cancel
			r.mu.Lock()
			r.running[j.ID] = j
			r.mu.Unlock()
			workers.Go(func() { r.work(working, k, j) })
		}
	}
	return nil
}

// claims returns the numbers of the claims of the jobs that are executed here.
func (r *Runner) claims() map[int64]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[int64]int64{}
	for id, j := range r.running {
		all[id] = j.claim
	}
	return all
}

// stop ends the contexts of workers whose job has ended or has another claim.
func (r *Runner) stop(claims map[int64]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, claim := range claims {
		if j := r.running[id]; j != nil && j.claim == claim {
			j.cancel(ErrLost)
		}
	}
}

func (r *Runner) busy(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running[id] != nil
}

const claimJob = `
UPDATE b24_job SET state = 'running', claim = $3, owner = $4, started_at = $5, attempts = attempts + 1
WHERE id = $1 AND claim = $2 AND state IN ('waiting', 'running') AND due_at <= $5
RETURNING ` + columns

// claim makes a job ours. It returns nil when the job has changed since it was read, or
// the lease cannot be used just now.
func (r *Runner) claim(ctx context.Context, d dueJob) (*Claimed, error) {
	number := 1 + rand.Int64N(math.MaxInt64-1)
	var j *Claimed
	err := r.table.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		j = nil
		held, err := r.leases.Fence(ctx, t, d.portal)
		if err != nil || !held {
			return err
		}
		one, err := scan(t.QueryRow(ctx, claimJob, d.id, d.claim, number, lease.Process(), store.Micros(time.Now())))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		j = &Claimed{Job: one, table: r.table}
		return err
	})
	if err != nil || j == nil {
		return nil, err
	}
	return j, nil
}

// work executes a job and stores the result.
func (r *Runner) work(ctx context.Context, k Kind, j *Claimed) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, j.ID)
	}()
	defer j.cancel(nil)
	held := r.leases.Context(j.Portal)
	defer context.AfterFunc(held, func() { j.cancel(context.Cause(held)) })()
	err := call(ctx, k, j)
	e := k.end(j, err, ctx.Err() != nil)
	j.log(ctx, r.log, e)
	if err := r.store(ctx, j, e); err != nil && !errors.Is(err, ErrLost) {
		r.log.ErrorContext(ctx, "cannot store the end of a job, it is repeated", slog.String("job", j.name()), slog.Any("error", err))
	}
}

// errPanic is wrapped by the error of an attempt that has panicked, which is a fault of the program.
var errPanic = errors.New("panic")

// call prevents a panic from ending the process.
func call(ctx context.Context, k Kind, j *Claimed) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, v, debug.Stack())
		}
	}()
	return k.Work(ctx, j)
}

// An end is how an attempt ended and what follows.
type end struct {
	state    State
	due      time.Time
	attempts int
	text     string
	level    slog.Level
	message  string // for the log; "" without one
}

// end judges the result of an attempt. stopped: its context had ended.
func (k Kind) end(j *Claimed, err error, stopped bool) end {
	now := time.Now()
	var (
		at   *dueAt
		fail *failed
	)
	attempts, text := j.failures()
	switch {
	case err == nil && j.Every > 0:
		return end{state: Waiting, due: next(j.Due, j.Every, now)}
	case err == nil:
		return end{state: Done}
	case errors.As(err, &at):
		return end{state: Waiting, due: at.time}
	case stopped: // by the end of the program, or another process has the job
		return end{state: Waiting, due: j.Due, attempts: attempts - 1, text: text}
	}
	isFail := errors.As(err, &fail)
	last := isFail || k.Attempts > 0 && attempts >= k.Attempts
	switch {
	case last && j.Every > 0:
		return end{state: Waiting, due: next(j.Due, j.Every, now), text: err.Error(), level: slog.LevelError, message: "a job failed, it is repeated at its next time"}
	case last:
		return end{state: Failed, text: err.Error(), level: slog.LevelError, message: "a job was given up"}
	}
	retry := k.Retry
	if retry == nil {
		retry = backoff
	}
	level := slog.LevelWarn
	if errors.Is(err, errPanic) {
		level = slog.LevelError
	}
	return end{state: Waiting, due: now.Add(retry(attempts)), attempts: attempts, text: err.Error(), level: level, message: "a job waits, trying again"}
}

// longestBackoff bounds backoff.
const longestBackoff = 15 * time.Minute

// backoff is the usual wait after a failed attempt.
func backoff(attempt int) time.Duration {
	return min(5*time.Second<<min(attempt-1, 10), longestBackoff)
}

// next returns the first time after now that is a multiple of every after due. So a job
// that missed due times runs once.
func next(due time.Time, every time.Duration, now time.Time) time.Time {
	missed := max(now.Sub(due)/every, 0)
	return due.Add((missed + 1) * every)
}

// log logs a failure once: not again for the same error.
func (j *Claimed) log(ctx context.Context, log *slog.Logger, e end) {
	if _, before := j.failures(); e.message == "" || e.state == Waiting && e.text == before {
		return
	}
	log.Log(ctx, e.level, e.message, slog.String("kind", j.Kind), slog.String("portal", j.Portal), slog.String("key", j.Key), slog.String("error", e.text))
}

const endJob = `
UPDATE b24_job SET state = $3, claim = 0, due_at = $4, attempts = $5, error = $6, ended_at = $7
WHERE id = $1 AND claim = $2 AND state = 'running'`

// store stores the end of an attempt. On a full disk it tries again for a while; after
// that the job is repeated as if the process had been killed.
func (r *Runner) store(ctx context.Context, j *Claimed, e end) (err error) {
	var ended time.Time
	due := e.due
	if e.state != Waiting {
		ended, due = time.Now(), j.Due
	}
	for wait := 100 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		err = r.table.db.Write(context.WithoutCancel(ctx), func(ctx context.Context, t store.Tx) error {
			n, err := t.Exec(ctx, endJob, j.ID, j.claim, string(e.state), store.Micros(due), e.attempts, e.text, store.Micros(ended))
			if err == nil && n == 0 {
				err = ErrLost
			}
			return err
		})
		if err == nil || errors.Is(err, ErrLost) {
			return err
		}
		if wakeup.Sleep(ctx, wait) != nil {
			return err
		}
	}
	return err
}
