package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Outcome is how an attempt ended.
type Outcome string

// The outcomes of an attempt.
const (
	OutcomeSucceeded   Outcome = "succeeded"
	OutcomeFailed      Outcome = "failed"      // to be tried again
	OutcomePostponed   Outcome = "postponed"   // by the portal: no attempt
	OutcomeInterrupted Outcome = "interrupted" // by our shutdown: no attempt
	OutcomeParked      Outcome = "parked"      // failed for the last time
	OutcomeDiscarded   Outcome = "discarded"   // there is nothing left to do
)

// Attempt is one attempt of a run.
type Attempt struct {
	Number            int
	Outcome           Outcome
	Error             string
	Record            json.RawMessage // of queue.Run.Record; nil without one
	Started, Finished time.Time
}

const selectAttempt = `SELECT run_id, number, outcome, error, record, started_at, finished_at FROM b24_attempt`

func scanAttempt(row store.Row) (run int64, a Attempt, err error) {
	var record string
	var started, finished int64
	err = row.Scan(&run, &a.Number, &a.Outcome, &a.Error, &record, &started, &finished)
	if record != "" {
		a.Record = json.RawMessage(record)
	}
	a.Started, a.Finished = store.Time(started), store.Time(finished)
	return run, a, err
}

// Attempts returns the attempts of a run, oldest first. Of postponed attempts only
// the last is stored.
func Attempts(ctx context.Context, from store.Reader, run int64) ([]Attempt, error) {
	return store.All(ctx, from, fmt.Sprint("attempts of run ", run), func(row store.Row) (Attempt, error) {
		_, a, err := scanAttempt(row)
		return a, err
	}, selectAttempt+` WHERE run_id = $1 ORDER BY id`, run)
}

// attemptsAtOnce is how many runs one statement of LastAttempts reads.
const attemptsAtOnce = 500

// LastAttempts returns the last attempt of each of some runs. A run without attempts is missing.
func LastAttempts(ctx context.Context, from store.Reader, runs []int64) (map[int64]Attempt, error) {
	out := map[int64]Attempt{}
	for part := range slices.Chunk(runs, attemptsAtOnce) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		_, err := store.All(ctx, from, "read the last attempts", func(row store.Row) (struct{}, error) {
			run, a, err := scanAttempt(row)
			out[run] = a
			return struct{}{}, err
		}, selectAttempt+` WHERE id IN (SELECT MAX(id) FROM b24_attempt WHERE run_id IN (`+store.Placeholders(1, len(part))+`) GROUP BY run_id)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

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

// Acts returns the actions on a run, oldest first.
func Acts(ctx context.Context, from store.Reader, run int64) ([]Act, error) {
	return store.All(ctx, from, fmt.Sprint("actions on run ", run), func(row store.Row) (Act, error) {
		var (
			a  Act
			at int64
		)
		err := row.Scan(&a.Action, &a.Who, &a.Joined, &at)
		a.At = store.Time(at)
		return a, err
	}, `SELECT action, who, joined, done_at FROM b24_run_act WHERE run_id = $1 ORDER BY id`, run)
}

const selectJoined = `SELECT run_id FROM b24_run_act WHERE joined = $1 AND joined > 0 ORDER BY id DESC LIMIT 1`

// JoinedTo returns the run that a run has joined. ok is false if it has joined none, or
// if the history of that run has been deleted.
func JoinedTo(ctx context.Context, from store.Reader, run int64) (into int64, ok bool, err error) {
	err = from.QueryRow(ctx, selectJoined, run).Scan(&into)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("which run has run %d joined: %w", run, err)
	}
	return into, true, nil
}
