package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// noteClaimTimeout is how long a process may take to change a note before another
	// one may start. A process that was killed delays the others for as long.
	noteClaimTimeout = 45 * time.Second
	// noteChangeTimeout is how much of it the change itself may take.
	noteChangeTimeout = 30 * time.Second
	// noteClaimRetry is the wait for a claim that another process has.
	noteClaimRetry = 100 * time.Millisecond
)

// UpdateNote calls change with a note's value ("" without such a note) and stores
// the value that it returns. Only one process does so at a time. It returns nil only
// when the note is on disk. When change fails, nothing is stored, and UpdateNote
// returns its error unchanged. The end of ctx does not interrupt change, and the
// note is still stored.
//
// change may take time, such as for a request to a server: UpdateNote holds a claim
// then, and no transaction.
func (q NoteTable) UpdateNote(ctx context.Context, name string, change func(ctx context.Context, old string) (string, error)) error {
	if name == "" {
		return errors.New("note: the name is empty")
	}
	id := rand.Text()
	for {
		mine, err := q.claimNote(ctx, name, id)
		if err != nil {
			return err
		}
		if mine {
			break
		}
		if err := wakeup.Sleep(ctx, noteClaimRetry); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteChangeTimeout)
	defer cancel()
	old, _, err := q.Note(ctx, name)
	value := ""
	if err == nil {
		value, err = change(ctx, old.Value)
	}
	saved := q.endClaim(context.WithoutCancel(ctx), name, id, old.Value, value, err == nil)
	if err != nil {
		return err
	}
	return saved
}

func claimOf(name string) string { return name + ".claim" }

const takeClaim = `
INSERT INTO b24_note (name, value, set_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at
WHERE b24_note.set_at < $4 OR b24_note.value = excluded.value` // ours: it is repeated after a lost connection

func (q NoteTable) claimNote(ctx context.Context, name, id string) (mine bool, err error) {
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		now := clock()
		n, err := t.Exec(ctx, takeClaim, claimOf(name), id, store.Micros(now), store.Micros(now.Add(-noteClaimTimeout)))
		mine = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note %s: %w", name, err)
	}
	return mine, nil
}

const changeNote = `
INSERT INTO b24_note (name, value, set_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at
WHERE b24_note.value = $4 OR b24_note.value = excluded.value`

// endClaim stores a changed note, if save is true, and releases the claim. If the
// claim was too old, another process may have taken it: then the value of that
// process stays.
func (q NoteTable) endClaim(ctx context.Context, name, id, old, value string, save bool) error {
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		if save {
			n, err := t.Exec(ctx, changeNote, name, value, store.Micros(clock()), old)
			if err == nil && n == 0 {
				err = errors.New("another process has changed it in the meantime")
			}
			if err != nil {
				return err
			}
		}
		_, err := t.Exec(ctx, `DELETE FROM b24_note WHERE name = $1 AND value = $2`, claimOf(name), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}
