package queue

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// maxErrorText bounds the stored error of an attempt.
const maxErrorText = 8 << 10

// leastPostponed is the shortest time for which a run is postponed.
const leastPostponed = time.Second

// A verdict is how an attempt ended and what follows for its run.
type verdict struct {
	outcome journal.Outcome
	text    string
	turn    turn // when the run starts again
}

// judge turns the result of an attempt into a verdict. stopped: our shutdown or
// the loss of a lease has cancelled it.
func (q finisher) judge(r *Run, err error, stopped bool) verdict {
	if err == nil {
		return verdict{outcome: journal.OutcomeSucceeded}
	}
	var (
		v = verdict{text: errorText(err)}
		p *postponed
		k *parked
		g *givenUp
	)
	switch {
	case errors.As(err, &k):
		v.outcome = journal.OutcomeParked
	case errors.As(err, &g):
		v.outcome = journal.OutcomeDiscarded
	case errors.As(err, &p):
		v.outcome = journal.OutcomePostponed
		until := p.until
		if soon := clock().Add(leastPostponed); until.Before(soon) {
			until = soon // this counts as no attempt, so nothing else would end the loop
		}
		v.turn = turn{due: until, notBefore: until, attempt: r.Attempt - 1, text: v.text}
		if p.byEvent {
			v.turn.notBefore = time.Time{}
		}
	case stopped:
		v.outcome = journal.OutcomeInterrupted
		due, notBefore := q.safeAfter()
		v.turn = turn{due: due, notBefore: notBefore, attempt: r.Attempt - 1, text: v.text, atOnce: true}
	case r.Attempt >= r.MaxAttempts:
		v.outcome = journal.OutcomeParked
	default:
		v.outcome = journal.OutcomeFailed
		v.turn = turn{due: clock().Add(q.backoff(r.Attempt)), attempt: r.Attempt, text: v.text}
		if u := (*retryFrom)(nil); errors.As(err, &u) {
			v.turn.notBefore = u.until
			if v.turn.due.Before(u.until) {
				v.turn.due = u.until
			}
		}
	}
	return v
}

// safeAfter returns when an interrupted run may start again, and the time before
// which not even a new event starts it: the portal may still be processing its
// last request.
func (q finisher) safeAfter() (due, notBefore time.Time) {
	due = clock().Add(q.options.Settle)
	if q.options.Settle > 0 {
		notBefore = due
	}
	return due, notBefore
}

// backoff is the wait after a failed attempt: exponential, with full jitter so
// that runs that failed together do not come back together.
func (q finisher) backoff(attempt int) time.Duration {
	limit := q.options.RetryFirst
	for n := 1; n < attempt && limit < q.options.RetryMax; n++ {
		limit *= 2
	}
	return rand.N(min(limit, q.options.RetryMax) + 1)
}

// mostAttempts bounds the attempts of a run, because history has each of them.
const mostAttempts = 10_000

// attemptsFor is how many attempts fill a time on average. The mean of a wait is half
// of its limit, see backoff.
func attemptsFor(time, first, most time.Duration) int {
	n := 1
	for limit := first; n < mostAttempts; limit = min(2*limit, most) {
		if time -= limit / 2; time < 0 {
			break
		}
		n++
	}
	return n
}

func errorText(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", "�"), "�")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + " …"
	}
	return text
}

// finish stores the result of an attempt. While the database refuses it (a full
// disk), finish tries again, because the result is stored nowhere else. If a
// shutdown ends it too early, the run is repeated after the next start.
func (q finisher) finish(ctx context.Context, r *Run, result error) {
	v := q.judge(r, result, ctx.Err() != nil)
	q.log(ctx, r, v)
	next := r.following(v)
	q.insist(ctx, "store the result of a run", r.ID, func(ctx context.Context) error {
		if len(next.starts) > 0 {
			return q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
				return q.finishWith(ctx, t, r, v, next)
			})
		}
		return q.writes.doFor(ctx, entityKey(r.Portal, r.Entity), func(ctx context.Context, t *tx) error {
			return q.end(ctx, t, r, v, next)
		})
	})
}

// errNotOurs means that there is no result to store. Either this is a repetition and the
// first try has succeeded, or the run was taken from us: then another process stores its
// result.
var errNotOurs = errors.New("another process has taken the run")

// end stores the result of an attempt, without the runs that it starts.
func (q finisher) end(ctx context.Context, t *tx, r *Run, v verdict, next following) error {
	if err := q.leave(ctx, t, r, v); err != nil {
		return err
	}
	return q.store(ctx, t, r, v, next)
}

func (q finisher) log(ctx context.Context, r *Run, v verdict) {
	level, outcome := slog.LevelInfo, string(v.outcome)
	switch v.outcome {
	case journal.OutcomeFailed:
		level = slog.LevelWarn
	case journal.OutcomeParked:
		level = slog.LevelError
	case journal.OutcomeSucceeded:
		outcome = cmp.Or(r.outcome, outcome)
	case journal.OutcomePostponed, journal.OutcomeInterrupted, journal.OutcomeDiscarded:
	}
	attrs := []slog.Attr{
		slog.String("portal", r.Portal), slog.String("rule", r.Rule), slog.String("entity", r.Entity), slog.String("outcome", outcome),
		slog.Int64("run", r.ID), slog.Int("attempt", r.Number()), slog.Int("events", r.Count),
	}
	attrs = append(attrs, r.logged...)
	if v.text != "" {
		attrs = append(attrs, slog.String("error", v.text))
	}
	q.options.Log.LogAttrs(ctx, level, "run", attrs...)
}

const (
	insertAttempt = `
INSERT INTO b24_attempt (run_id, number, outcome, error, record, started_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`

	// A portal can postpone a run for hours; the last of these attempts is enough.
	forgetPostponed = `DELETE FROM b24_attempt WHERE run_id = $1 AND outcome = 'postponed'`

	// leaveRun ends our claim. requeue sets the next state of a run that waits again.
	leaveRun = `
UPDATE b24_run SET claim = 0, state = $3, finished_at = $4, error = $5, cause = $6, outcome = $7, writes = $8
WHERE id = $1 AND claim = $2 AND state = 'running'`

	clearDone = `DELETE FROM b24_done WHERE run_id = $1`
)

// leave ends our claim of a run. It returns errNotOurs if we have none.
func (q finisher) leave(ctx context.Context, t *tx, r *Run, v verdict) error {
	state, finished := journal.Running, store.Micros(clock()) // requeue sets the rest
	switch v.outcome {
	case journal.OutcomeSucceeded:
		state = journal.Succeeded
	case journal.OutcomeParked:
		state = journal.Parked
	case journal.OutcomeDiscarded:
		state = journal.Discarded
	case journal.OutcomeFailed, journal.OutcomePostponed, journal.OutcomeInterrupted:
		finished = 0
	}
	r.mu.Lock()
	cause, outcome, writes := r.cause, r.outcome, r.writes
	r.mu.Unlock()
	if v.outcome == journal.OutcomeSucceeded {
		cause = ""
	} else {
		outcome, writes = "", 0
	}
	n, err := t.Exec(ctx, leaveRun, r.ID, r.claim, string(state), finished, v.text, cause, outcome, writes)
	if err == nil && n == 0 {
		err = errNotOurs
	}
	return err
}

func (q finisher) store(ctx context.Context, t *tx, r *Run, v verdict, next following) error {
	r.mu.Lock()
	record, atEnd := string(r.record), r.atEnd
	r.mu.Unlock()
	for _, write := range atEnd {
		if err := write(ctx, t); err != nil {
			return err
		}
	}
	if v.outcome == journal.OutcomePostponed {
		if _, err := t.Exec(ctx, forgetPostponed, r.ID); err != nil {
			return err
		}
	}
	if _, err := t.Exec(ctx, insertAttempt, r.ID, r.Number(), string(v.outcome), v.text, record, store.Micros(r.Started), store.Micros(clock())); err != nil {
		return err
	}
	switch v.outcome {
	case journal.OutcomeSucceeded:
		if _, err := t.Exec(ctx, clearDone, r.ID); err != nil {
			return err
		}
		if err := r.memory.store(ctx, t); err != nil {
			return err
		}
		if !next.wake.IsZero() {
			if err := q.sleep(ctx, t, r, next.wake, next.gone); err != nil {
				return err
			}
		}
	case journal.OutcomeFailed, journal.OutcomePostponed, journal.OutcomeInterrupted:
		v.turn.idle = v.outcome == journal.OutcomePostponed && !r.Repeated && record == ""
		due, err := requeue(ctx, t, r.ID, v.turn)
		if err != nil {
			return err
		}
		t.touch(q.base, r.Portal, due)
	case journal.OutcomeParked:
	}
	t.touch(q.base, r.Portal, time.Time{}) // the entity is free
	return nil
}

// unblock makes the runs of an entity wait again that an older version of the program
// has blocked.
func unblock(ctx context.Context, t *tx, portal, entity string) error {
	_, err := t.Exec(ctx, `UPDATE b24_run SET state = 'waiting' WHERE portal = $1 AND entity = $2 AND state = 'blocked'`, portal, entity)
	return err
}

// A turn is when and how a run starts again.
type turn struct {
	due, notBefore time.Time
	attempt        int // how many attempts count so far
	text           string
	atOnce         bool
	restart        bool // all attempts are left again
	idle           bool // the attempt did nothing, as if it had not started
}

const (
	selectSibling = `
SELECT b.id, b.due_at, b.earlier + b.attempt FROM b24_run a
JOIN b24_run b ON b.portal = a.portal AND b.rule = a.rule AND b.entity = a.entity
WHERE a.id = $1 AND b.id <> a.id AND b.state IN ('waiting', 'blocked', 'queued')` // and locked, so that no process claims it

	moveEvents = `
INSERT INTO b24_run_event (run_id, event_id)
SELECT $1, event_id FROM b24_run_event WHERE run_id = $2
ON CONFLICT (run_id, event_id) DO NOTHING`

	moveDone = `
INSERT INTO b24_done (run_id, key, done_at)
SELECT $1, key, done_at FROM b24_done WHERE run_id = $2
ON CONFLICT (run_id, key) DO NOTHING`

	moveAttempts = `
UPDATE b24_attempt SET run_id = $1, number = number + (SELECT earlier FROM b24_run WHERE id = $1) + $3
WHERE run_id = $2`

	mergeRun = `
UPDATE b24_run SET
    added = (b24_run.added OR b.added),
    deleted = (b24_run.deleted OR b.deleted),
    count = b24_run.count + b.count,
    priority = CASE WHEN b.priority < b24_run.priority THEN b.priority ELSE b24_run.priority END,
    max_attempts = b.max_attempts,
    event_id = b.event_id,
    opened_at = b.opened_at
FROM b24_run b
WHERE b24_run.id = $1 AND b.id = $2`

	waitAgain = `
UPDATE b24_run SET state = 'waiting', due_at = $2, not_before = $3, attempt = $4, earlier = earlier + $6, error = $5, finished_at = 0,
    started_at = started_at * $7, -- 0 if it has not started
    first_at = CASE WHEN first_at > $2 THEN $2 ELSE first_at END -- that of a run that slept
WHERE id = $1`
)

// requeue makes a run wait again, and returns when it is due. If events have started
// another pending run of its rule and entity in the meantime, the events of that one
// join this run, as if they had arrived later: it starts when the other one would have
// started, and all its attempts are left. Acts says which number joined.
//
// Where other processes write at the same time, an event may start that run after
// requeue has looked for it. The next look finds it.
func requeue(ctx context.Context, t *tx, id int64, w turn) (due time.Time, err error) {
	for range 5 {
		err = t.inside(ctx, "requeue", func() (err error) {
			due, err = requeueOnce(ctx, t, id, w)
			return err
		})
		if err == nil || !t.Duplicate(err) {
			break
		}
	}
	return due, err
}

func requeueOnce(ctx context.Context, t *tx, id int64, w turn) (time.Time, error) {
	var (
		sibling, due int64
		tried        int // by the sibling
	)
	err := t.QueryRow(ctx, selectSibling+t.ForUpdate("b"), id).Scan(&sibling, &due, &tried)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return time.Time{}, err
	default:
		if _, err := t.Exec(ctx, moveAttempts, id, sibling, w.attempt); err != nil {
			return time.Time{}, err
		}
		for _, move := range []string{moveEvents, moveDone, moveActs, mergeRun} {
			if _, err := t.Exec(ctx, move, id, sibling); err != nil {
				return time.Time{}, err
			}
		}
		if _, err := t.Exec(ctx, `DELETE FROM b24_run WHERE id = $1`, sibling); err != nil {
			return time.Time{}, err
		}
		if err := noteAct(ctx, t, id, journal.JoinedByRun, "", sibling); err != nil {
			return time.Time{}, err
		}
		w.restart = true
		if !w.atOnce {
			w.due = store.Time(due)
			if w.due.Before(w.notBefore) {
				w.due = w.notBefore
			}
		}
	}
	earlier := 0
	if w.restart {
		earlier, w.attempt = w.attempt+tried, 0
	}
	started := 1
	if w.idle {
		started = 0
	}
	_, err = t.Exec(ctx, waitAgain, id, store.Micros(w.due), store.Micros(w.notBefore), w.attempt, w.text, earlier, started)
	if err != nil {
		return time.Time{}, fmt.Errorf("make run %d wait again: %w", id, err)
	}
	return w.due, nil
}
