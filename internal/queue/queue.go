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

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Options of a queue. The zero value is valid.
type Options struct {
	// RetryFor is about how long a failing run is tried again before it is parked: the
	// number of its attempts is as many as their waits need on average. 0 means a day,
	// or no bound if Attempts is set.
	RetryFor time.Duration

	// Attempts bounds how often a run is tried before it is parked, unless its route
	// says otherwise. 0 means as often as RetryFor needs.
	Attempts int

	// RetryFirst and RetryMax bound the wait before a retry: a random time up
	// to RetryFirst after the first failure, up to twice as long after each
	// further one, never above RetryMax. 0 means 5 seconds and 1 hour.
	RetryFirst, RetryMax time.Duration

	// Workers is how many runs of one portal execute at the same time. 0 means
	// 1,000: runs mostly wait for the portal, and the more of them wait together,
	// the fuller are the requests that they share.
	Workers int

	// Grace is how long Work lets runs finish after its context has ended,
	// before it cancels them. 0 means 10 seconds.
	Grace time.Duration

	// Settle is how long an interrupted run, such as one whose process was killed,
	// waits before it starts again: the portal may still be processing its last
	// request, so a read would not show whether that succeeded. 0 means no wait.
	Settle time.Duration

	// RetainSucceeded, RetainDiscarded and RetainParked are how long the history of
	// such runs is stored after their end, with their events and attempts.
	// RetainEvents is how long an event without a run is stored. 0 means 30 days,
	// for parked runs 365 days; less than 0 means without limit.
	RetainSucceeded, RetainDiscarded, RetainParked, RetainEvents time.Duration

	// Portals are the ones that this process works when several processes share
	// a database (PostgreSQL). nil means all that have runs. "" among them lets this
	// process do the work that belongs to no portal: see internal/jobs. On SQLite the
	// one process that works the database works all portals.
	Portals []string

	// Lease is how long a process that shares a database may send no heartbeat
	// before others take over its portals. 0 means 4 seconds.
	Lease time.Duration

	// Takeover, if not nil, is called with a portal ("" for all of them) that
	// another process may have worked until a time, before its first run starts
	// here: that process has used up a part of the portal's limits, and this one
	// must count it. It must not block.
	Takeover func(portal string, until time.Time)

	// Spare, if not nil, returns how long ago a portal's limits were last used up,
	// as a process that takes over has to assume. It is called when this process
	// gives the portal back. The next holder receives that time by its Takeover;
	// without Spare it receives the current time.
	Spare func(portal string) time.Duration

	// Silenced, if not nil, is called when another process that shares the database
	// sends no heartbeat any more: it was killed, is frozen or cut off, perhaps while
	// it received events. Only one of the other processes calls it. It must not block.
	Silenced func()

	// Log receives messages for the operator. nil means slog.Default().
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.RetryFirst = cmp.Or(o.RetryFirst, min(5*time.Second, cmp.Or(o.RetryMax, time.Hour)))
	o.RetryMax = cmp.Or(o.RetryMax, max(time.Hour, o.RetryFirst))
	if o.RetryFor != 0 || o.Attempts == 0 {
		n := attemptsFor(cmp.Or(o.RetryFor, max(24*time.Hour, o.RetryMax)), o.RetryFirst, o.RetryMax)
		o.Attempts = min(cmp.Or(o.Attempts, n), n)
	}
	o.Workers = cmp.Or(o.Workers, 1000)
	o.Grace = cmp.Or(o.Grace, 10*time.Second)
	o.Lease = cmp.Or(o.Lease, 4*time.Second)
	const day = 24 * time.Hour
	o.RetainSucceeded = cmp.Or(o.RetainSucceeded, 30*day)
	o.RetainDiscarded = cmp.Or(o.RetainDiscarded, 30*day)
	o.RetainParked = cmp.Or(o.RetainParked, 365*day)
	o.RetainEvents = cmp.Or(o.RetainEvents, 30*day)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Attempts < 1 || o.RetryFor < 0:
		return fmt.Errorf("queue: %d attempts for %v, must be at least 1", o.Attempts, o.RetryFor)
	case o.RetryFirst < 0 || o.RetryMax < o.RetryFirst:
		return fmt.Errorf("queue: retries wait from %v up to %v, the second must not be below the first", o.RetryFirst, o.RetryMax)
	case o.Workers < 1 || o.Workers > 10_000:
		return fmt.Errorf("queue: %d workers per portal, must be 1 to 10000", o.Workers)
	case o.Settle < 0:
		return fmt.Errorf("queue: settle time of %v, must not be negative", o.Settle)
	case o.Grace < 0:
		return fmt.Errorf("queue: shutdown grace of %v, must not be negative", o.Grace)
	case o.Lease < time.Second || o.Lease > time.Minute:
		return fmt.Errorf("queue: lease of %v, must be 1 second to 1 minute", o.Lease)
	}
	return nil
}

// Queue is an open database of events and runs. Its methods store events and execute
// runs; those of its parts read and change the database. All are safe for concurrent use.
type Queue struct {
	*base
	Input
	Repairs
	HoldTable
	Retention
	finisher

	working atomic.Bool
	pinged  atomic.Pointer[time.Time] // the last time that Ping could write
}

// base is what the parts of a queue share.
type base struct {
	options Options
	db      *database.DB
	writes  *committer
	leases  *lease.Set
	touched touched
	changes broadcast                // sent after each change of a run or hold
	portals atomic.Pointer[[]string] // Options.Portals, or what SetPortals was called with
}

// The parts of a queue.
type (
	Input     struct{ *base } // stores events and the runs that they ask for
	Repairs   struct{ *base } // replays and discards runs
	HoldTable struct{ *base } // keeps runs from starting, because of a fault or a person
	Retention struct{ *base } // deletes what has been kept long enough
	finisher  struct{ *base } // stores the results of runs
)

// Open opens the database that dsn names ("sqlite:PATH" or "postgres://..."), and
// creates or upgrades it. Any number of processes may have it open to push, read
// and repair; Lock decides which of them may Work. The caller closes the queue.
func Open(ctx context.Context, dsn string, options Options) (*Queue, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, dsn, options.Log)
	if err != nil {
		return nil, err
	}
	b := &base{options: options, db: db, writes: newCommitter(db.Backend), touched: newTouched(), leases: lease.NewSet(!db.Leases())}
	b.portals.Store(&options.Portals)
	return &Queue{
		base: b, Input: Input{b}, Repairs: Repairs{b}, HoldTable: HoldTable{b}, Retention: Retention{b}, finisher: finisher{b},
	}, nil
}

// SetPortals replaces Options.Portals while the queue is open.
func (q *base) SetPortals(names []string) { q.portals.Store(&names) }

// Leases returns the leases of the portals that this process works.
func (q *Queue) Leases() *lease.Set { return q.leases }

// Close closes the database. Work must have returned.
func (q *Queue) Close() error {
	if q.working.Load() {
		return errors.New("queue: Close while Work is running: end its context and wait for it first")
	}
	q.writes.stop()
	return q.db.Close()
}

// Database is the database of the queue, for packages that have tables in it.
func (q *Queue) Database() store.DB { return sharedDatabase{q.db.Read, q.writes} }

type sharedDatabase struct {
	store.Reader
	writes *committer
}

// Write implements store.DB.
func (d sharedDatabase) Write(ctx context.Context, do func(ctx context.Context, t store.Tx) error) error {
	return d.writes.do(ctx, func(ctx context.Context, t *tx) error { return do(ctx, t) })
}

// touched collects the portals of which a run may have become due, for the
// pool.
type touched struct {
	mu      sync.Mutex
	all     bool
	portals map[string]bool
	wake    wakeup.Signal
}

func newTouched() touched {
	return touched{portals: map[string]bool{}, wake: wakeup.New()}
}

func (t *touched) add(portal string) {
	t.mu.Lock()
	t.portals[portal] = true
	t.mu.Unlock()
	t.wake.Send()
}

func (t *touched) addAll() {
	t.addAllQuietly()
	t.wake.Send()
}

// addAllQuietly is addAll for the pool, without a wake-up.
func (t *touched) addAllQuietly() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = true
}

// received handles what another process has announced.
func (q *Queue) received(news string, look func()) {
	switch news {
	case lease.News:
		look()
		return
	case "":
		q.touched.addAll()
	default:
		q.touched.add(news)
	}
	q.changes.send()
}

// take returns the portals that were added since the last call.
func (t *touched) take() (portals map[string]bool, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	portals, all = t.portals, t.all
	t.portals, t.all = map[string]bool{}, false
	return portals, all
}

// touch announces after the commit that runs of a portal have changed, and lets the
// end of the transaction claim them. due is when a run is due; zero means now.
func (t *tx) touch(q *base, portal string, due time.Time) {
	if q.leases.Of(portal) == nil {
		t.announce(portal)
	}
	switch c := t.change(portal); {
	case !due.After(clock()):
		c.now = true
	case c.due.IsZero() || due.Before(c.due):
		c.due = due
	}
	t.afterCommit(q.changes.send)
}

// touchAll is touch for all portals.
func (t *tx) touchAll(q *base) {
	t.announce("")
	t.afterCommit(func() {
		q.touched.addAll()
		q.changes.send()
	})
}

// A broadcast wakes all waiting goroutines. The zero value is ready.
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

// clock is the clock of this package; tests replace it.
var clock = time.Now
