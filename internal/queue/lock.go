package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// holderNote names the note that says which process works the database; its
// value is empty when that one has ended as it should.
const holderNote = "queue.worker"

// Lock makes this process the one that works the database, ahead of Work, which
// does it by itself: so a program learns before it takes events that another
// one does (ErrInUse, with its name). Runs that were under way when their
// process ended wait again. The lock ends with Work or Close, and with the
// process. On PostgreSQL there is no such lock: portals have leases.
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
		return fmt.Errorf("queue: return unfinished runs to the waiting ones: %w", err)
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
		q.takeover("", until)
	}
	host, _ := os.Hostname() // only told to people
	return q.SetNote(ctx, holderNote, fmt.Sprintf("process %d on %s", os.Getpid(), host))
}

func (q *Queue) takeover(portal string, until time.Time) {
	if q.options.Takeover != nil {
		q.options.Takeover(portal, until)
	}
}

// withHolder adds to ErrInUse who holds the lock.
func (q *Queue) withHolder(ctx context.Context, err error) error {
	if !errors.Is(err, ErrInUse) {
		return err
	}
	n, ok, readErr := q.Note(ctx, holderNote)
	if readErr != nil || !ok || n.Value == "" {
		return fmt.Errorf("%w: stop it, or give this one a database of its own", err)
	}
	return fmt.Errorf("%w: %s, since %s; stop it, or give this one a database of its own", err, n.Value, n.Set.UTC().Format(time.RFC3339))
}

// endLock ends the lock of a process that ends as it should, and notes when.
func (q *Queue) endLock(ctx context.Context) {
	if !q.db.leases() {
		if err := q.SetNote(ctx, holderNote, ""); err != nil {
			q.options.Log.WarnContext(ctx, "cannot note the end of the work", slog.Any("error", err))
		}
	}
	q.unlock()
}

func (q *Queue) unlock() {
	if err := q.db.unlock(); err != nil {
		q.options.Log.Error("cannot release the database", slog.Any("error", err))
	}
}
