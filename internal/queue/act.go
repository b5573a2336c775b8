package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Action is what happened to a run besides its attempts.
type Action string

// The actions.
const (
	Replayed    Action = "replayed"  // by a person
	GivenUp     Action = "discarded" // by a person
	JoinedByRun Action = "joined"    // another run of the rule and entity has joined this one
)

// Act is one action.
type Act struct {
	Action Action
	Who    string // the person; "" if it is unknown, and for JoinedByRun
	Joined int64  // of JoinedByRun: the number that the other run had
	At     time.Time
}

const (
	insertAct = `INSERT INTO b24_run_act (run_id, action, who, joined, done_at) VALUES ($1, $2, $3, $4, $5)`

	// A run that others have joined can itself join another one.
	moveActs = `UPDATE b24_run_act SET run_id = $1 WHERE run_id = $2`

	selectJoined = `SELECT run_id FROM b24_run_act WHERE joined = $1 AND joined > 0 ORDER BY id DESC LIMIT 1`
)

// noteAct stores an action.
func noteAct(ctx context.Context, t *tx, run int64, action Action, who string, joined int64) error {
	_, err := t.Exec(ctx, insertAct, run, string(action), who, joined, micros(clock()))
	return err
}

// Acts returns the actions on a run, oldest first.
func (q History) Acts(ctx context.Context, run int64) ([]Act, error) {
	return store.All(ctx, q.db.read, fmt.Sprint("actions on run ", run), func(row store.Row) (Act, error) {
		var (
			a  Act
			at int64
		)
		err := row.Scan(&a.Action, &a.Who, &a.Joined, &at)
		a.At = fromMicros(at)
		return a, err
	}, `SELECT action, who, joined, done_at FROM b24_run_act WHERE run_id = $1 ORDER BY id`, run)
}

// JoinedTo returns the run that a run has joined. ok is false if it has joined none, or
// if the history of that run has been deleted.
func (q History) JoinedTo(ctx context.Context, run int64) (into int64, ok bool, err error) {
	err = q.db.read.QueryRow(ctx, selectJoined, run).Scan(&into)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("which run has run %d joined: %w", run, err)
	}
	return into, true, nil
}
