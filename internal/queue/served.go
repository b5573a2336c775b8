package queue

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/notes"
)

// Served reports whether a process works the database now: on PostgreSQL, any portal of
// it. It does not change the database.
func (q *Queue) Served(ctx context.Context) (served bool, err error) {
	switch {
	case q.working.Load():
		return true, nil
	case q.db.Leases():
		served, err = lease.Served(ctx, q.db.Read)
	default:
		_, served, err = q.holder(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("is a process working the database: %w", err)
	}
	return served, nil
}

// Processes returns the processes that work the database: on SQLite there is at most one.
func (q *base) Processes(ctx context.Context) (all []lease.Worker, err error) {
	var name string
	var works bool
	if q.db.Leases() {
		all, err = lease.Workers(ctx, q.db.Read)
	} else if name, works, err = q.holder(ctx); works {
		all = []lease.Worker{{Name: name}}
	}
	if err != nil {
		return nil, fmt.Errorf("read the processes that work the database: %w", err)
	}
	return all, nil
}

// holder returns the process that has the lock of the database. works is false if none has it.
func (q *base) holder(ctx context.Context) (name string, works bool, err error) {
	n, _, err := notes.Get(ctx, q.db.Read, holderNote)
	if err != nil || n.Value == "" {
		return "", false, err // without a look at the lock, which a process that starts now may take
	}
	works, err = q.db.Locked(ctx)
	return n.Value, works, err
}
