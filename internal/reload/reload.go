// Package reload lets a command ask the running processes to load the configuration and
// the rules again.
//
// Requests and answers are rows of the database, because a process may have no port
// that the command can reach.
package reload

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Request asks all processes to load the configuration and the rules again.
type Request struct {
	ID string // unique
	// Confirmed also removes portals where so many are missing that the file is more
	// likely wrong.
	Confirmed bool
	By        string // who asks, for the log
}

// Answer is what a process runs after a reload. It is live if what is on disk runs.
type Answer struct {
	Process string `json:"process"` // as queue.Processes names it
	// Changes are what has changed now.
	Changes []string `json:"changes"`
	// Refused are the reasons why something on disk does not run, with their places.
	Refused []string `json:"refused"`
	// Restart are the keys of the configuration whose changes need a restart.
	Restart []string `json:"restart"`
	// Missing are portals that the configuration does not have and that run, because they
	// are too many.
	Missing []string `json:"missing"`
}

// Live reports whether what is on disk runs.
func (a Answer) Live() bool { return len(a.Refused)+len(a.Restart)+len(a.Missing) == 0 }

// Table is the requests and answers in a database.
type Table struct{ db store.DB }

// New returns the requests and answers in a database.
func New(db store.DB) *Table { return &Table{db} }

// forgetAfter is how long a request is answered, and how long the rows of a command that was killed
// stay. No command waits so long. A process that starts must not follow an old one, which may have
// confirmed that portals are removed.
const forgetAfter = 2 * time.Minute

// Ask stores a request.
func (t *Table) Ask(ctx context.Context, r Request) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM b24_reload WHERE at < $1`, store.Micros(time.Now().Add(-forgetAfter))); err != nil {
			return err
		}
		return put(ctx, tx, r.ID, "", body)
	})
	if err != nil {
		return fmt.Errorf("ask for a reload: %w", err)
	}
	return nil
}

func put(ctx context.Context, tx store.Tx, id, process string, body []byte) error {
	_, err := tx.Exec(ctx, `
INSERT INTO b24_reload (id, process, at, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (id, process) DO UPDATE SET at = excluded.at, body = excluded.body`, id, process, store.Micros(time.Now()), string(body))
	return err
}

// Requests returns the requests for which a command may still wait, oldest first.
func (t *Table) Requests(ctx context.Context) ([]Request, error) {
	return store.All(ctx, t.db, "read requests for a reload", func(row store.Row) (r Request, err error) {
		err = scan(row, &r)
		return r, err
	}, `SELECT body FROM b24_reload WHERE process = '' AND at >= $1 ORDER BY at, id`, store.Micros(time.Now().Add(-forgetAfter)))
}

func scan(row store.Row, to any) error {
	var body string
	if err := row.Scan(&body); err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), to)
}

// Answer stores the answer of a process.
func (t *Table) Answer(ctx context.Context, id string, a Answer) error {
	for _, list := range []*[]string{&a.Changes, &a.Refused, &a.Restart, &a.Missing} {
		if *list == nil {
			*list = []string{} // [] and not null for programs
		}
	}
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	err = t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error { return put(ctx, tx, id, a.Process, body) })
	if err != nil {
		return fmt.Errorf("answer a request for a reload: %w", err)
	}
	return nil
}

// Answers returns the answers to a request, sorted by process.
func (t *Table) Answers(ctx context.Context, id string) ([]Answer, error) {
	return store.All(ctx, t.db, "read the answers to a reload", func(row store.Row) (a Answer, err error) {
		err = scan(row, &a)
		return a, err
	}, `SELECT body FROM b24_reload WHERE id = $1 AND process <> '' ORDER BY process`, id)
}

// Forget deletes a request and its answers.
func (t *Table) Forget(ctx context.Context, id string) error {
	err := t.db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM b24_reload WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget a request for a reload: %w", err)
	}
	return nil
}
