package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

const (
	// claimLife is how long a process may take to change a note before another
	// one may begin. One that was killed holds the others up for as long.
	noteClaimTimeout = 45 * time.Second
	// changeTime is what the change itself may take of it.
	noteChangeTimeout = 30 * time.Second
	// claimPause is how long to wait for a claim that somebody else has.
	noteClaimRetry = 100 * time.Millisecond
)

// UpdateNote gives a note's value to change ("" when there is no such note) and
// stores what it returns, while no other process does the same. It returns nil
// only when the note is on disk. When change fails nothing is stored and its
// error comes back as it is. The end of ctx keeps neither what change has begun
// nor the note from being stored.
//
// change may take its time, such as a request to a server: meanwhile it holds a
// claim, not a transaction.
func (q *Queue) UpdateNote(ctx context.Context, name string, change func(ctx context.Context, old string) (string, error)) error {
	if name == "" {
		return errors.New("note: want a name")
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
		if err := pause(ctx, noteClaimRetry); err != nil {
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

func (q *Queue) claimNote(ctx context.Context, name, id string) (mine bool, err error) {
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		now := time.Now()
		n, err := t.exec(ctx, takeClaim, claimOf(name), id, micros(now), micros(now.Add(-noteClaimTimeout)))
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

// endClaim stores a changed note, if store says so, and releases the claim. A
// claim that was too old may have been taken by another process: then what that
// one has stored stays.
func (q *Queue) endClaim(ctx context.Context, name, id, old, value string, store bool) error {
	err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		if store {
			n, err := t.exec(ctx, changeNote, name, value, micros(time.Now()), old)
			if err == nil && n == 0 {
				err = errors.New("another process has changed it meanwhile")
			}
			if err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, `DELETE FROM b24_note WHERE name = $1 AND value = $2`, claimOf(name), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("note %s: %w", name, err)
	}
	return nil
}
