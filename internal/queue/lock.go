package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/store"
)

// newHolder holds the leases of the portals that Work executes.
func (q *Queue) newHolder(p *pool) *lease.Holder {
	return lease.NewHolder(q.leases, lease.Options{
		Term: q.options.Lease, Grace: q.options.Grace, Portals: func() []string { return *q.portals.Load() }, Waiting: func(ctx context.Context) (map[string]bool, error) { return journal.WaitingPortals(ctx, q.db.Read) },
		Transact: func(ctx context.Context, do func(t store.Tx) error) error {
			return database.Transact(ctx, q.db, func(t database.Tx) error { return do(t) })
		},
		Commit: func(ctx context.Context, news bool, do func(ctx context.Context, t store.Tx) error) error {
			return q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
				if news {
					t.announce(lease.News)
				}
				return do(ctx, t)
			})
		},
		TakeOver: func(ctx context.Context, portal string, take func(ctx context.Context, t store.Tx) error) error {
			return q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
				if err := take(ctx, t); err != nil || portal == "" { // it has no runs; for recover, "" means all portals
					return err
				}
				return q.recover(ctx, t, portal)
			})
		},
		Acquired: func(l *lease.Lease, used time.Time) {
			if !used.IsZero() && l.Portal() != "" {
				q.noteTakeover(l.Portal(), used)
			}
			p.shards.open(l)
			q.touched.add(l.Portal())
		},
		Ended: p.shards.remove,
		Now:   func() time.Time { return clock() }, Spare: q.options.Spare, Silenced: q.options.Silenced, Log: q.options.Log,
	})
}

// holderNote is the name of the note that says which process works the database. When
// that process has ended in order, its value is empty, or endedNote and a JSON object of
// the times in microseconds at which the limits of portals were last used up.
const (
	holderNote = "queue.worker"
	endedNote  = "ended "
)

// Lock makes this process the one that works the database. Work calls it too; a
// program calls it before Work to find out, before it receives events, that another
// process works the database (ErrInUse, with the name of that process). Runs that
// were running when their process ended wait again. The lock ends with Work, Close
// or the process. PostgreSQL has no such lock: portals have leases.
func (q *Queue) Lock(ctx context.Context) error {
	taken, err := q.db.Lock(ctx)
	if err != nil {
		return fmt.Errorf("database %s: %w", q.db, q.withHolder(ctx, err))
	}
	if !taken {
		return nil
	}
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		t.touchAll(q.base)
		return q.recover(ctx, t, "")
	})
	if err != nil {
		q.unlock()
		return fmt.Errorf("queue: make unfinished runs wait again: %w", err)
	}
	last, ok, err := notes.Get(ctx, q.Database(), holderNote)
	if err != nil {
		return err
	}
	if ok {
		q.noteTakeovers(last)
	}
	return notes.Set(ctx, q.Database(), holderNote, lease.Process())
}

// noteTakeovers calls Options.Takeover for the process that has left a holderNote. After
// a kill it may have used the limits until now.
func (q *Queue) noteTakeovers(last notes.Note) {
	now := clock()
	times, ended := strings.CutPrefix(last.Value, endedNote)
	var used map[string]int64
	portals := q.limited()
	switch {
	case ended && json.Unmarshal([]byte(times), &used) == nil && len(portals) > 0:
		for _, portal := range portals {
			until := last.Set
			if at, ok := used[portal]; ok {
				until = store.Time(at)
			}
			q.noteTakeover(portal, earlier(until, now))
		}
	case ended || last.Value == "":
		q.noteTakeover("", earlier(last.Set, now))
	default:
		q.noteTakeover("", now)
	}
}

// limited returns the portals that this process works, without the "" of the work that
// belongs to none: noteTakeover takes that for all portals.
func (q *Queue) limited() []string {
	return slices.DeleteFunc(slices.Clone(*q.portals.Load()), func(portal string) bool { return portal == "" })
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// spareTimes returns when the limits of the portals were last used up, as the value of
// a holderNote; "" without Options.Spare.
func (q *Queue) spareTimes() string {
	if q.options.Spare == nil {
		return ""
	}
	used := map[string]int64{}
	for _, portal := range q.limited() {
		used[portal] = store.Micros(clock().Add(-q.options.Spare(portal)))
	}
	text, err := json.Marshal(used)
	if err != nil {
		return "" // numbers by names always have a form
	}
	return endedNote + string(text)
}

// noteTakeover calls Options.Takeover.
func (q *Queue) noteTakeover(portal string, until time.Time) {
	if q.options.Takeover != nil {
		q.options.Takeover(portal, until)
	}
}

// withHolder adds the process that holds the lock to ErrInUse.
func (q *Queue) withHolder(ctx context.Context, err error) error {
	if !errors.Is(err, database.ErrInUse) {
		return err
	}
	n, ok, readErr := notes.Get(ctx, q.Database(), holderNote)
	if readErr != nil || !ok || n.Value == "" {
		return fmt.Errorf("%w: stop it, or use another database for this process", err)
	}
	return fmt.Errorf("%w: %s, since %s; stop it, or use another database for this process", err, n.Value, n.Set.UTC().Format(time.RFC3339))
}

// endLock ends the lock of a process that ends in order, and notes the time.
func (q *Queue) endLock(ctx context.Context) {
	if !q.db.Leases() {
		if err := notes.Set(ctx, q.Database(), holderNote, q.spareTimes()); err != nil {
			q.options.Log.WarnContext(ctx, "cannot note that this process has ended", slog.Any("error", err))
		}
	}
	q.unlock()
}

func (q *Queue) unlock() {
	if err := q.db.Unlock(); err != nil {
		q.options.Log.Error("cannot release the database", slog.Any("error", err))
	}
}
