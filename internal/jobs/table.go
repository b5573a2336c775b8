package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// State is the state of a job.
type State string

// The states of a job.
const (
	Waiting   State = "waiting" // for its due time, or for the process that works its portal
	Running   State = "running" // claimed; a process that was killed leaves it so until the next one claims it
	Done      State = "done"
	Failed    State = "failed" // given up
	Cancelled State = "cancelled"
)

// Job is a stored job. AddOnce and Replace need only Kind; ID, State, Attempts, Error,
// Created and Ended are set by this package.
type Job struct {
	ID     int64
	Portal string // "" for the leader
	Kind   string
	Key    string // tells the jobs of a kind and portal apart; may be ""
	State  State

	Due   time.Time     // when it starts; zero means now
	Every time.Duration // after which it is due again; 0 means that it ends

	// Attempts is how often it was started since it last stored progress.
	Attempts int
	// Place is the progress of the job, in its kind's own form. A new job may have what
	// it is to do here. nil is stored as null.
	Place json.RawMessage

	Error string // of the last attempt; "" after progress

	Created time.Time
	Ended   time.Time // zero while it is open

	claim int64
}

// Table is the jobs in a database.
type Table struct{ db store.DB }

// New returns the jobs in a database.
func New(db store.DB) *Table { return &Table{db} }

const (
	insert = `
INSERT INTO b24_job (portal, kind, key, state, due_at, every, place, created_at)
VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7)
ON CONFLICT (portal, kind, key) WHERE state IN ('waiting', 'running') DO NOTHING
RETURNING id`

	selectOpen = `SELECT id FROM b24_job WHERE portal = $1 AND kind = $2 AND key = $3 AND state IN ('waiting', 'running')`

	setEvery = `UPDATE b24_job SET every = $2, due_at = CASE WHEN due_at > $3 THEN $3 ELSE due_at END WHERE id = $1 AND every <> $2`

	cancel = `
UPDATE b24_job SET state = 'cancelled', claim = 0, ended_at = $4
WHERE portal = $1 AND kind = $2 AND key = $3 AND state IN ('waiting', 'running')`
)

// AddOnce stores a new job, unless one of the same portal, kind and key is open. It
// changes only Every of that one. Call it at each start for a job that repeats.
func (t *Table) AddOnce(ctx context.Context, j Job) error {
	return t.write(ctx, "add", j, func(ctx context.Context, tx store.Tx, j Job) error {
		added, id, err := addOnce(ctx, tx, j)
		if err == nil && !added {
			_, err = tx.Exec(ctx, setEvery, id, j.Every.Microseconds(), store.Micros(j.Created.Add(j.Every)))
		}
		return err
	})
}

// Replace cancels the open job of the same portal, kind and key, if there is one, and
// stores a new one.
func (t *Table) Replace(ctx context.Context, j Job) error {
	return t.write(ctx, "replace", j, func(ctx context.Context, tx store.Tx, j Job) error {
		if _, err := tx.Exec(ctx, cancel, j.Portal, j.Kind, j.Key, store.Micros(j.Created)); err != nil {
			return err
		}
		_, _, err := addOnce(ctx, tx, j)
		return err
	})
}

// AddIn is AddOnce as a part of another transaction. It reports whether the job was stored.
func (t *Table) AddIn(ctx context.Context, tx store.Tx, j Job) (added bool, err error) {
	j.Created = time.Now()
	added, _, err = addOnce(ctx, tx, j)
	return added, err
}

// Cancel gives up the open job of a portal, kind and key. A worker that executes it is
// stopped. It reports whether there was one.
func (t *Table) Cancel(ctx context.Context, portal, kind, key string) (was bool, err error) {
	err = t.write(ctx, "cancel", Job{Portal: portal, Kind: kind, Key: key}, func(ctx context.Context, tx store.Tx, j Job) error {
		n, err := tx.Exec(ctx, cancel, portal, kind, key, store.Micros(j.Created))
		was = n > 0
		return err
	})
	return was, err
}

func (t *Table) write(ctx context.Context, what string, j Job, do func(ctx context.Context, tx store.Tx, j Job) error) error {
	if j.Kind == "" {
		return fmt.Errorf("%s a job: it has no kind", what)
	}
	j.Created = time.Now()
	err := t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error { return do(ctx, tx, j) })
	if err != nil {
		return fmt.Errorf("%s job %s: %w", what, j.name(), err)
	}
	return nil
}

// name names a job in errors.
func (j Job) name() string {
	return strings.Trim(strings.Join([]string{j.Kind, j.Portal, j.Key}, " "), " ")
}

func addOnce(ctx context.Context, tx store.Tx, j Job) (added bool, id int64, err error) {
	if j.Place == nil {
		j.Place = json.RawMessage("null")
	}
	if j.Due.IsZero() {
		j.Due = j.Created
	}
	err = tx.QueryRow(ctx, insert, j.Portal, j.Kind, j.Key, store.Micros(j.Due), j.Every.Microseconds(), string(j.Place), store.Micros(j.Created)).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return err == nil, id, err
	}
	err = tx.QueryRow(ctx, selectOpen, j.Portal, j.Kind, j.Key).Scan(&id)
	return false, id, err
}

// Filter selects jobs. A zero field selects all.
type Filter struct {
	Portal    string
	Kind, Key string
	Open      bool // only waiting and running ones
	Limit     int  // 0 means 1,000
}

const columns = `id, portal, kind, key, state, due_at, every, attempts, place, claim, error, created_at, ended_at`

// List returns the jobs that f selects, newest first.
func (t *Table) List(ctx context.Context, f Filter) ([]Job, error) {
	where, args := []string{"TRUE"}, []any{}
	for column, value := range map[string]string{"portal": f.Portal, "kind": f.Kind, "key": f.Key} {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
		}
	}
	if f.Open {
		where = append(where, "state IN ('waiting', 'running')")
	}
	args = append(args, cmp.Or(f.Limit, 1000))
	return store.All(ctx, t.db, "read jobs", scan,
		`SELECT `+columns+` FROM b24_job WHERE `+strings.Join(where, " AND ")+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args...)
}

func scan(row store.Row) (Job, error) {
	var (
		j                          Job
		due, every, created, ended int64
		place                      string
	)
	err := row.Scan(&j.ID, &j.Portal, &j.Kind, &j.Key, &j.State, &due, &every, &j.Attempts, &place, &j.claim, &j.Error, &created, &ended)
	j.Due, j.Every, j.Place = store.Time(due), time.Duration(every)*time.Microsecond, json.RawMessage(place)
	j.Created, j.Ended = store.Time(created), store.Time(ended)
	return j, err
}

const clockSetBack = `
UPDATE b24_job SET due_at = CASE WHEN due_at > $1 THEN $1 ELSE due_at END, created_at = CASE WHEN created_at > $1 THEN $1 ELSE created_at END
WHERE state IN ('waiting', 'running') AND kind <> $2
    AND (created_at > $1 OR every > 0 AND due_at > $1 + every OR attempts > 0 AND due_at > $1 + $3)`

// ClockSetBack makes jobs due that would wait for a time that the clock had reached before
// it was set back. Other jobs stay, and so does the kind except.
func (t *Table) ClockSetBack(ctx context.Context, except string) error {
	err := t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, clockSetBack, store.Micros(time.Now()), except, longestBackoff.Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("repair the times of jobs: %w", err)
	}
	return nil
}

// retainEnded is how long ended jobs are listed.
const retainEnded = 30 * 24 * time.Hour

// Forget deletes the jobs that ended more than 30 days ago.
func (t *Table) Forget(ctx context.Context) error {
	err := t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM b24_job WHERE state IN ('done', 'failed', 'cancelled') AND ended_at < $1`, store.Micros(time.Now().Add(-retainEnded)))
		return err
	})
	if err != nil {
		return fmt.Errorf("delete old jobs: %w", err)
	}
	return nil
}
