package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/database"
)

// ErrClosed is returned by all methods of a closed queue.
var ErrClosed = errors.New("the queue is closed")

// maxBatch bounds how many writes share one transaction, so that no write waits
// long for the others.
const maxBatch = 256

// maxPause is about how long the other writes of a transaction may take before an
// urgent one that waits ends it: the ends of 50 runs that shared a request come
// together, and a portal waits for its answer.
const maxPause = 4 * time.Millisecond

// maxPutOff bounds how long an operation waits for urgent ones.
const maxPutOff = 100 * time.Millisecond

// A committer runs write operations, many of them in one transaction: a commit
// costs a disk sync, and the next operations gather while it runs.
type committer struct {
	db         database.Backend
	urgent     chan *operation // go before all others
	operations chan *operation
	quit       chan struct{} // closed by stop
	done       chan struct{} // closed when the goroutine has ended
	once       sync.Once

	commits atomic.Int64
	pool    atomic.Pointer[pool] // claims runs; nil when Work is not running
}

type operation struct {
	urgent         bool            // somebody waits for the answer
	ownTransaction bool            // in its own transaction
	key            string          // of its portal and entity; "" without one
	ctx            context.Context // only to find out whether the caller still waits
	run            func(ctx context.Context, t *tx) error
	result         chan error
	since          time.Time
}

func newCommitter(db database.Backend) *committer {
	c := &committer{
		db:         db,
		urgent:     make(chan *operation),
		operations: make(chan *operation),
		quit:       make(chan struct{}),
		done:       make(chan struct{}),
	}
	go c.loop()
	return c
}

// do runs an operation and returns nil after its commit. The operation may
// share its transaction with others; its error undoes this operation alone. When
// ctx ends first, do returns at once and the operation may still be committed.
func (c *committer) do(ctx context.Context, run func(ctx context.Context, t *tx) error) error {
	return c.doFor(ctx, "", run)
}

// doInOwnTransaction is do for an operation that changes many entities: on a database that
// other processes write to at the same time, it has its own transaction.
func (c *committer) doInOwnTransaction(ctx context.Context, run func(ctx context.Context, t *tx) error) error {
	return c.submit(&operation{ownTransaction: c.db.Leases(), ctx: ctx, run: run, result: make(chan error, 1)})
}

// entityKey is the key of an operation that changes runs of an entity.
func entityKey(portal, entity string) string { return portal + "\x00" + entity }

// doFor is do for an operation with a key. Where several processes write, all
// process their keys in the same order, so that no two wait for each other.
func (c *committer) doFor(ctx context.Context, key string, run func(ctx context.Context, t *tx) error) error {
	return c.submit(&operation{key: key, ctx: ctx, run: run, result: make(chan error, 1)})
}

// doUrgent is doFor for an operation that somebody waits for.
func (c *committer) doUrgent(ctx context.Context, key string, run func(ctx context.Context, t *tx) error) error {
	return c.submit(&operation{urgent: true, key: key, ctx: ctx, run: run, result: make(chan error, 1)})
}

func (c *committer) submit(op *operation) error {
	op.since = time.Now()
	operations := c.operations
	if op.urgent {
		operations = c.urgent
	}
	select {
	case operations <- op:
	case <-op.ctx.Done():
		return op.ctx.Err()
	case <-c.quit:
		return ErrClosed
	}
	select {
	case err := <-op.result:
		return err
	case <-op.ctx.Done():
		return op.ctx.Err()
	}
}

// stop waits for the running operation and refuses all later ones.
func (c *committer) stop() {
	c.once.Do(func() { close(c.quit) })
	<-c.done
}

func (c *committer) stopping() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

func (c *committer) loop() {
	defer close(c.done)
	var batch []*operation // what the last transaction has not done
	for {
		if len(batch) == 0 {
			select {
			case op := <-c.urgent:
				batch = append(batch, op)
			case op := <-c.operations:
				batch = append(batch, op)
			case <-c.quit:
				return
			}
		}
		for !batch[len(batch)-1].ownTransaction && len(batch) < maxBatch {
			op := c.nextWaiting()
			if op == nil {
				break
			}
			batch = append(batch, op)
		}
		if last := len(batch) - 1; batch[last].ownTransaction && last > 0 {
			batch = append(c.commit(batch[:last:last]), batch[last])
			continue
		}
		batch = c.commit(batch)
	}
}

// nextWaiting returns an operation that already waits, or nil.
func (c *committer) nextWaiting() *operation {
	if op := c.nextUrgent(); op != nil {
		return op
	}
	select {
	case op := <-c.operations:
		return op
	default:
		return nil
	}
}

func (c *committer) nextUrgent() *operation {
	select {
	case op := <-c.urgent:
		return op
	default:
		return nil
	}
}

// retryFor is how long a batch is tried again after the connection to the
// database was lost, such as by a restart of the server: a short wait is better
// than a lost event.
const retryFor = 8 * time.Second

// commit runs operations in one transaction, gives each caller its result, and returns
// the operations that it has put off.
//
// When the connection is lost, the transaction may or may not have been
// committed, and commit repeats it. Each operation allows that: an event that is
// stored twice causes only an unnecessary run, and a claim and the end of a run
// recognize that they were stored before (see claim and leave).
func (c *committer) commit(operations []*operation) (putOff []*operation) {
	slices.SortStableFunc(operations, func(a, b *operation) int { return strings.Compare(a.key, b.key) })
	// A caller that gives up must not cancel the transaction of the others.
	ctx := context.WithoutCancel(operations[0].ctx)
	var (
		t       *tx
		b       = &batch{operations: operations, hurry: slices.ContainsFunc(operations, func(op *operation) bool { return op.urgent })}
		err     error
		pool    = c.pool.Load()
		started = clock()
	)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		t = &tx{}
		err = c.transact(ctx, t, b, pool)
		if err != nil && pool != nil {
			pool.failed()
		}
		if err == nil || !c.db.Lost(err) || clock().Sub(started) > retryFor || c.stopping() {
			break
		}
		time.Sleep(rand.N(wait))
	}
	putOff = b.late
	for i, op := range operations {
		if b.results[i] == errPutOff && err == nil {
			putOff = append(putOff, op)
			continue
		}
		if b.results[i] == nil || b.results[i] == errPutOff {
			b.results[i] = err
		}
		op.result <- b.results[i]
	}
	if err == nil {
		for _, f := range t.after {
			f()
		}
	}
	if err == nil && pool != nil {
		pool.committed(t, t.notClaimed)
	}
	return putOff
}

// A batch is the operations of one transaction and their results.
type batch struct {
	operations []*operation
	results    []error
	hurry      bool         // an urgent operation is in the batch, or waits for the next one
	late       []*operation // urgent ones that came while the others ran
}

// errPutOff is the result of an operation that was left to the next transaction.
var errPutOff = errors.New("put off")

// putsOff reports whether an operation is left to the next transaction, because the
// transaction that started at that time has taken long and somebody waits for it.
func (c *committer) putsOff(b *batch, op *operation, started time.Time) bool {
	if op.urgent || time.Since(started) < maxPause || time.Since(op.since) > maxPutOff {
		return false
	}
	if late := c.nextUrgent(); late != nil {
		b.late, b.hurry = append(b.late, late), true
	}
	return b.hurry
}

// transact fills the results of a batch; the error that it returns is for all of them.
func (c *committer) transact(ctx context.Context, t *tx, b *batch, pool *pool) error {
	b.results = make([]error, len(b.operations))
	var err error
	if t.Tx, err = c.db.Begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	started := time.Now()
	for i, op := range b.operations {
		if b.results[i] = op.ctx.Err(); b.results[i] != nil {
			continue
		}
		if c.putsOff(b, op, started) {
			b.results[i] = errPutOff
			continue
		}
		b.results[i], err = t.try(ctx, op.run)
		if err == nil && b.results[i] != nil && c.db.Lost(b.results[i]) {
			err = b.results[i] // not an error of this operation
		}
		if err != nil {
			_ = t.Rollback(ctx) // err is the error that matters
			return err
		}
	}
	if pool != nil && len(t.changes) > 0 {
		t.notClaimed, err = t.try(ctx, pool.claim)
		if err == nil && t.notClaimed != nil && c.db.Lost(t.notClaimed) {
			err = t.notClaimed
		}
		if err != nil {
			_ = t.Rollback(ctx) // err is the error that matters
			return err
		}
	}
	if len(t.news) > 0 {
		if err := t.Tx.Announce(ctx, slices.Collect(maps.Keys(t.news))); err != nil {
			_ = t.Rollback(ctx)
			return fmt.Errorf("announce: %w", err)
		}
	}
	if err := t.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	c.commits.Add(1)
	return nil
}

// A tx is a write transaction as one operation sees it.
type tx struct {
	database.Tx
	after []func()
	news  map[string]bool

	changes    map[string]*change // by portal
	notClaimed error              // why the changed portals could not be claimed from
}

// A change is what a transaction has done to the runs of a portal.
type change struct {
	now  bool      // a run may have become due, or an entity free
	due  time.Time // the earliest later time at which a run becomes due; zero without one
	look bool      // other processes may have changed runs: find out when the next is due
}

// change returns the change of a portal, to add to it.
func (t *tx) change(portal string) *change {
	if t.changes == nil {
		t.changes = map[string]*change{}
	}
	c := t.changes[portal]
	if c == nil {
		c = &change{}
		t.changes[portal] = c
	}
	return c
}

// try runs an operation under a savepoint. The first error is that of the
// operation, which is undone; the second means that the whole transaction is lost.
func (t *tx) try(ctx context.Context, run func(ctx context.Context, t *tx) error) (own, all error) {
	after := len(t.after)
	if _, err := t.Exec(ctx, "SAVEPOINT operation"); err != nil {
		return nil, fmt.Errorf("savepoint: %w", err)
	}
	if own = run(ctx, t); own != nil {
		t.after = t.after[:after]
		// On a full disk SQLite rolls back the whole transaction. Then the
		// savepoint does not exist any more.
		if _, err := t.Exec(ctx, "ROLLBACK TO SAVEPOINT operation"); err != nil {
			return own, fmt.Errorf("%w (and the transaction is lost: %w)", own, err)
		}
	}
	if _, err := t.Exec(ctx, "RELEASE SAVEPOINT operation"); err != nil {
		return own, fmt.Errorf("release: %w", err)
	}
	return own, nil
}

// inside runs do under its own savepoint where other processes write at the same
// time, because their writes can cause an error: it then undoes only do.
func (t *tx) inside(ctx context.Context, name string, do func() error) error {
	if !t.Shared() {
		return do()
	}
	if _, err := t.Exec(ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	own := do()
	if own != nil {
		if _, err := t.Exec(ctx, "ROLLBACK TO SAVEPOINT "+name); err != nil {
			return errors.Join(own, err)
		}
	}
	if _, err := t.Exec(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return errors.Join(own, err)
	}
	return own
}

// announce sends news to other processes after the commit.
func (t *tx) announce(news string) {
	if t.news == nil {
		t.news = map[string]bool{}
	}
	t.news[news] = true
}

// afterCommit calls f once the transaction is on disk. It must not block.
func (t *tx) afterCommit(f func()) { t.after = append(t.after, f) }
