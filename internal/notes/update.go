package notes

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// claimTimeout is how long a process may take to change a note before another
	// one may start. A process that was killed delays the others for as long.
	claimTimeout = 45 * time.Second
	// changeTimeout is how much of it the change itself may take.
	changeTimeout = 30 * time.Second
	// claimRetry is the wait for a claim that another process has.
	claimRetry = 100 * time.Millisecond
)

// Update calls change with a note's value ("" without such a note) and stores
// the value that it returns. Only one process does so at a time. It returns nil only
// when the note is on disk. When change fails, nothing is stored, and Update
// returns its error unchanged. The end of ctx does not interrupt change, and the
// note is still stored.
//
// change may take time, such as for a request to a server: Update holds a claim
// then, and no transaction.
func Update(ctx context.Context, db store.DB, name string, change func(ctx context.Context, old string) (string, error)) error {
	id := rand.Text()
	for {
		mine, err := claim(ctx, db, name, id)
		if err != nil {
			return err
		}
		if mine {
			break
		}
		if err := wakeup.Sleep(ctx, claimRetry); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	old, _, err := Get(ctx, db, name)
	value := ""
	if err == nil {
		value, err = change(ctx, old.Value)
	}
	saved := endClaim(context.WithoutCancel(ctx), db, name, id, old.Value, value, err == nil)
	if err != nil {
		return err
	}
	return saved
}

func claimOf(name string) string { return name + ".claim" }

const takeClaim = setNote + ` WHERE b24_note.set_at < $4 OR b24_note.value = excluded.value` // ours: it is repeated after a lost connection

func claim(ctx context.Context, db store.DB, name, id string) (mine bool, err error) {
	err = write(ctx, db, name, func(ctx context.Context, t store.Tx) error {
		now := time.Now()
		n, err := t.Exec(ctx, takeClaim, claimOf(name), id, store.Micros(now), store.Micros(now.Add(-claimTimeout)))
		mine = n > 0
		return err
	})
	return mine, err
}

const changeNote = setNote + ` WHERE b24_note.value = $4 OR b24_note.value = excluded.value`

// endClaim stores a changed note, if save is true, and releases the claim. If the
// claim was too old, another process may have taken it: then the value of that
// process stays.
func endClaim(ctx context.Context, db store.DB, name, id, old, value string, save bool) error {
	return write(ctx, db, name, func(ctx context.Context, t store.Tx) error {
		if save {
			n, err := t.Exec(ctx, changeNote, name, value, store.Micros(time.Now()), old)
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
}
