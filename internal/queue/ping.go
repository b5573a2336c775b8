package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/store"
)

// pingNote is what Ping writes.
const pingNote = "queue.ping"

// pingValidFor is how long the next calls of Ping use the result of a successful
// one, so that frequent probes do not keep the disk busy.
const pingValidFor = time.Second

// pingSize is about the size of an event in the database with its run.
const pingSize = 16 << 10

// Ping reports whether the database can store an event. It writes as much as an
// event, because a database on a full disk still answers reads.
func (q *Queue) Ping(ctx context.Context) error {
	if at := q.pinged.Load(); at != nil && clock().Sub(*at) < pingValidFor {
		return nil
	}
	if err := notes.Set(ctx, q.Database(), pingNote, strings.Repeat("-", pingSize)); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	now := clock()
	q.pinged.Store(&now)
	return nil
}

// idleEvery is how often WaitIdle looks when another process does the work.
const idleEvery = 250 * time.Millisecond

// WaitIdle returns nil as soon as no run is waiting (a retry waits too, a sleeping run
// does not), blocked, queued or running.
func (q *Queue) WaitIdle(ctx context.Context) error {
	for {
		changed := q.changes.next()
		var busy bool
		err := q.db.Read.QueryRow(ctx,
			`SELECT EXISTS (SELECT 1 FROM b24_run r WHERE r.state IN ('waiting', 'blocked', 'queued', 'running') AND NOT `+journal.WhereAsleep+`)`, store.Micros(clock())).Scan(&busy)
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("look for unfinished runs: %w", err))
		}
		if !busy {
			return nil
		}
		var elsewhere <-chan time.Time
		if !q.working.Load() {
			elsewhere = time.After(idleEvery)
		}
		select {
		case <-changed:
		case <-elsewhere:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
