package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// ErrNoRun is returned for a run that does not exist.
var ErrNoRun = errors.New("no such run")

// ErrState is returned for a run whose state does not allow the change.
var ErrState = errors.New("the run is in another state")

// An Also writes more in the transaction of a change, such as who made it. n is how many runs
// the call has changed so far, with this one. If it fails, the change is undone.
type Also func(ctx context.Context, t store.Tx, n int) error

func doAlso(ctx context.Context, t *tx, n int, also []Also) error {
	for _, do := range also {
		if err := do(ctx, t, n); err != nil {
			return err
		}
	}
	return nil
}

const discardRun = `
UPDATE b24_run SET state = 'discarded', finished_at = $2
WHERE id = $1 AND state IN ('waiting', 'blocked', 'queued', 'parked')`

// Discard gives up a run that is parked or has not started, and deletes its done
// marks. For a run that is running or over it returns ErrState. who is the person who
// does it, for Acts.
func (q Repairs) Discard(ctx context.Context, run int64, who string, also ...Also) error {
	return q.discard(ctx, run, who, 1, also)
}

func (q Repairs) discard(ctx context.Context, run int64, who string, n int, also []Also) error {
	err := q.repair(ctx, run, func(ctx context.Context, t *tx, _ journal.Run) error {
		if err := affects(t.Exec(ctx, discardRun, run, store.Micros(clock()))); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, clearDone, run); err != nil {
			return err
		}
		if err := noteAct(ctx, t, run, journal.GivenUp, who, 0); err != nil {
			return err
		}
		return doAlso(ctx, t, n, also)
	})
	if err != nil {
		return fmt.Errorf("discard run %d: %w", run, err)
	}
	return nil
}

// Replay makes a parked or discarded run wait again, from its first step, due at
// once. It keeps its number, and its attempts are counted on. For a run in another
// state it returns ErrState. who is the person who does it, for Acts.
func (q Repairs) Replay(ctx context.Context, run int64, who string, also ...Also) error {
	return q.replay(ctx, run, who, 1, also)
}

func (q Repairs) replay(ctx context.Context, run int64, who string, n int, also []Also) error {
	err := q.repair(ctx, run, func(ctx context.Context, t *tx, i journal.Run) error {
		if i.State != journal.Parked && i.State != journal.Discarded {
			return fmt.Errorf("%w: it is %s, must be parked or discarded", ErrState, i.State)
		}
		if err := noteAct(ctx, t, run, journal.Replayed, who, 0); err != nil {
			return err
		}
		if _, err := requeue(ctx, t, run, turn{due: clock(), attempt: i.Attempt, restart: true, atOnce: true, text: i.Error}); err != nil {
			return err
		}
		return doAlso(ctx, t, n, also)
	})
	if err != nil {
		return fmt.Errorf("replay run %d: %w", run, err)
	}
	return nil
}

// repairPage is how many runs ReplayAll and DiscardAll change at once.
const repairPage = 100

// ReplayAll replays the runs that the filter selects, and returns how many. Without
// States it selects parked and discarded ones. Limit bounds the number; 0 means
// all. Runs that are in another state by then are skipped. Each run has its own transaction.
func (q Repairs) ReplayAll(ctx context.Context, f journal.Filter, who string, also ...Also) (int, error) {
	if len(f.States) == 0 {
		f.States = []journal.State{journal.Parked, journal.Discarded}
	}
	return q.repairAll(ctx, f, func(ctx context.Context, run int64, n int) error { return q.replay(ctx, run, who, n, also) })
}

// DiscardAll discards the runs that the filter selects, and returns how many.
// Without States it selects parked ones. Limit bounds the number; 0 means all.
// Runs that are running or over are skipped. Each run has its own transaction.
func (q Repairs) DiscardAll(ctx context.Context, f journal.Filter, who string, also ...Also) (int, error) {
	if len(f.States) == 0 {
		f.States = []journal.State{journal.Parked}
	}
	return q.repairAll(ctx, f, func(ctx context.Context, run int64, n int) error { return q.discard(ctx, run, who, n, also) })
}

func (q Repairs) repairAll(ctx context.Context, f journal.Filter, repair func(ctx context.Context, run int64, n int) error) (n int, err error) {
	limit := f.Limit
	f.Limit = repairPage
	for {
		page, err := journal.FindRuns(ctx, q.db.Read, f)
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, run := range page {
			f.Before = run.ID
			switch err := repair(ctx, run.ID, n+1); {
			case errors.Is(err, ErrState) || errors.Is(err, ErrNoRun): // the run has started, or joined another one
			case err != nil:
				return n, err
			default:
				if n++; n == limit {
					return n, nil
				}
			}
		}
	}
}

// repair changes a run, and unblocks the runs of its entity.
func (q Repairs) repair(ctx context.Context, run int64, change func(ctx context.Context, t *tx, i journal.Run) error) error {
	return q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		i, err := journal.ScanRun(clock())(t.QueryRow(ctx, journal.SelectRuns+` WHERE r.id = $1`+t.ForUpdate("r"), run))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoRun
		}
		if err != nil {
			return err
		}
		if err := change(ctx, t, i); err != nil {
			return err
		}
		t.touch(q.base, i.Portal, time.Time{})
		return unblock(ctx, t, i.Portal, i.Entity)
	})
}

// affects turns the result of an UPDATE that changed nothing into ErrState.
func affects(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrState
	}
	return err
}
