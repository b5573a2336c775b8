package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// holderNote is the name of the note that says which process works the database.
// Its value is empty when that process has ended in order.
const holderNote = "queue.worker"

// Lock makes this process the one that works the database. Work calls it too; a
// program calls it before Work to find out, before it receives events, that another
// process works the database (ErrInUse, with the name of that process). Runs that
// were running when their process ended wait again. The lock ends with Work, Close
// or the process. PostgreSQL has no such lock: portals have leases.
func (q *Queue) Lock(ctx context.Context) error {
	taken, err := q.db.lock(ctx)
	if err != nil {
		return fmt.Errorf("database %s: %w", q.db, q.withHolder(ctx, err))
	}
	if !taken {
		return nil
	}
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		t.touchAll(q)
		return q.recover(ctx, t, "")
	})
	if err != nil {
		q.unlock()
		return fmt.Errorf("queue: make unfinished runs wait again: %w", err)
	}
	last, ok, err := q.Note(ctx, holderNote)
	if err != nil {
		return err
	}
	if ok {
		until := time.Now()
		if last.Value == "" && last.Set.Before(until) {
			until = last.Set
		}
		q.noteTakeover("", until)
	}
	host, _ := os.Hostname() // only shown to people
	return q.SetNote(ctx, holderNote, fmt.Sprintf("process %d on %s", os.Getpid(), host))
}

// noteTakeover calls Options.Takeover.
func (q *Queue) noteTakeover(portal string, until time.Time) {
	if q.options.Takeover != nil {
		q.options.Takeover(portal, until)
	}
}

// withHolder adds the process that holds the lock to ErrInUse.
func (q *Queue) withHolder(ctx context.Context, err error) error {
	if !errors.Is(err, ErrInUse) {
		return err
	}
	n, ok, readErr := q.Note(ctx, holderNote)
	if readErr != nil || !ok || n.Value == "" {
		return fmt.Errorf("%w: stop it, or use another database for this process", err)
	}
	return fmt.Errorf("%w: %s, since %s; stop it, or use another database for this process", err, n.Value, n.Set.UTC().Format(time.RFC3339))
}

// endLock ends the lock of a process that ends in order, and notes the time.
func (q *Queue) endLock(ctx context.Context) {
	if !q.db.leases() {
		if err := q.SetNote(ctx, holderNote, ""); err != nil {
			q.options.Log.WarnContext(ctx, "cannot note that this process has ended", slog.Any("error", err))
		}
	}
	q.unlock()
}

func (q *Queue) unlock() {
	if err := q.db.unlock(); err != nil {
		q.options.Log.Error("cannot release the database", slog.Any("error", err))
	}
}
