package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a queue. The zero value is a good one.
type Options struct {
	// Attempts is how often a run is tried before it is parked, unless its
	// route says otherwise. 0 means 8.
	Attempts int

	// RetryFirst and RetryMax bound the wait before a retry: a random time up
	// to RetryFirst after the first failure, up to twice as long after each
	// further one, never above RetryMax. 0 means 5 seconds and 1 hour.
	RetryFirst, RetryMax time.Duration

	// Workers is how many runs of one portal execute at once. 0 means 1,000:
	// runs mostly wait for the portal, and the more of them wait at once, the
	// fuller are the requests that they share.
	Workers int

	// Grace is how long Work lets runs finish once its context has ended,
	// before it cancels them. 0 means 10 seconds.
	Grace time.Duration

	// Log gets what an operator should know. nil means slog.Default().
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Attempts = cmp.Or(o.Attempts, 8)
	o.RetryFirst = cmp.Or(o.RetryFirst, 5*time.Second)
	o.RetryMax = cmp.Or(o.RetryMax, time.Hour)
	o.Workers = cmp.Or(o.Workers, 1000)
	o.Grace = cmp.Or(o.Grace, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Attempts < 1:
		return fmt.Errorf("queue: %d attempts, want at least 1", o.Attempts)
	case o.RetryFirst < 0 || o.RetryMax < o.RetryFirst:
		return fmt.Errorf("queue: retries wait from %v up to %v, want the second not below the first", o.RetryFirst, o.RetryMax)
	case o.Workers < 1 || o.Workers > 10_000:
		return fmt.Errorf("queue: %d workers per portal, want 1 to 10000", o.Workers)
	case o.Grace < 0:
		return fmt.Errorf("queue: a grace of %v, want a positive time", o.Grace)
	}
	return nil
}

// Queue is an open database of events and runs. All methods are safe for
// concurrent use.
type Queue struct {
	options Options
	db      *database
	writes  *committer
	working atomic.Bool
	due     chan struct{} // tells the dispatcher that a due time may have changed
	changes broadcast
}

// Open opens the database that dsn names ("sqlite:PATH"), creating or
// upgrading it, and returns every run that was under way when its process
// ended to the waiting ones. One process at a time can have a database open:
// others get ErrInUse. The caller closes the queue.
func Open(ctx context.Context, dsn string, options Options) (*Queue, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	path, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	db, err := openSQLite(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db.write, quiet(options.Log)); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), db.close())
	}
	q := &Queue{options: options, db: db, writes: newCommitter(db.write), due: make(chan struct{}, 1)}
	if err := q.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), q.Close())
	}
	return q, nil
}

// Close closes the database. Work must have returned.
func (q *Queue) Close() error {
	if q.working.Load() {
		return errors.New("queue: closed while Work is under way: end its context and wait for it first")
	}
	q.writes.stop()
	return q.db.close()
}

// touch tells whoever waits that runs have changed.
func (q *Queue) touch() {
	select {
	case q.due <- struct{}{}:
	default: // it has been told and has not looked yet
	}
	q.changes.send()
}

// A broadcast wakes all who wait at once. The zero value is ready.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that the next send closes.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// micros is how times are stored: see the schema.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n)
}
