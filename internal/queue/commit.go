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
)

// ErrClosed is returned by everything that is asked of a closed queue.
var ErrClosed = errors.New("the queue is closed")

// maxBatch bounds how many writes share one transaction, so that none of them
// waits long for the others.
const maxBatch = 256

// A committer runs write operations, many of them per transaction: a commit
// costs a disk sync, and while one is under way the next operations gather.
type committer struct {
	db         backend
	operations chan *operation
	quit       chan struct{} // closed by stop
	done       chan struct{} // closed when the goroutine has ended
	once       sync.Once

	commits atomic.Int64
}

type operation struct {
	ownTransaction bool            // shares its transaction with no other
	key            string          // what it changes: portal and entity
	ctx            context.Context // only asked whether the caller still waits
	run            func(ctx context.Context, t *tx) error
	result         chan error
}

func newCommitter(db backend) *committer {
	c := &committer{
		db:         db,
		operations: make(chan *operation),
		quit:       make(chan struct{}),
		done:       make(chan struct{}),
	}
	go c.loop()
	return c
}

// do runs an operation and returns nil after its commit. The operation may
// share its transaction with others; an error of its own undoes it alone. When
// ctx ends first, do returns at once and the operation may still be committed.
func (c *committer) do(ctx context.Context, run func(ctx context.Context, t *tx) error) error {
	return c.doFor(ctx, "", run)
}

// alone is do for an operation that changes many entities: it shares its
// transaction with nobody where others write at the same time.
func (c *committer) doAlone(ctx context.Context, run func(ctx context.Context, t *tx) error) error {
	return c.submit(&operation{ownTransaction: c.db.leases(), ctx: ctx, run: run, result: make(chan error, 1)})
}

// entityKey is the key of an operation that changes runs of an entity.
func entityKey(portal, entity string) string { return portal + "\x00" + entity }

// doFor is do for an operation with a key. Where several processes write, all
// go through their keys in one order, so that no two wait for one another.
func (c *committer) doFor(ctx context.Context, key string, run func(ctx context.Context, t *tx) error) error {
	return c.submit(&operation{key: key, ctx: ctx, run: run, result: make(chan error, 1)})
}

func (c *committer) submit(op *operation) error {
	select {
	case c.operations <- op:
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

// stop waits for the operation under way and refuses all later ones.
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
	for {
		var batch []*operation
		select {
		case op := <-c.operations:
			batch = append(batch, op)
		case <-c.quit:
			return
		}
		for !batch[len(batch)-1].ownTransaction && len(batch) < maxBatch {
			op := c.nextWaiting()
			if op == nil {
				break
			}
			batch = append(batch, op)
		}
		if last := len(batch) - 1; batch[last].ownTransaction && last > 0 {
			c.commit(batch[:last])
			batch = batch[last:]
		}
		c.commit(batch)
	}
}

// waiting returns an operation that waits already, or nil.
func (c *committer) nextWaiting() *operation {
	select {
	case op := <-c.operations:
		return op
	default:
		return nil
	}
}

// patience is how long a batch is tried again after the connection to the
// database was lost, as when the server is restarted: who waits for it rather
// waits a little longer than loses an event.
const retryFor = 8 * time.Second

// commit runs a batch in one transaction and tells every caller its result.
//
// When the connection is lost, nobody knows whether the transaction was
// committed, and it is repeated. Each operation bears that: an event stored
// twice causes no more than a needless run, a claim and the end of a run
// recognize themselves (see claim and leave).
func (c *committer) commit(batch []*operation) {
	slices.SortStableFunc(batch, func(a, b *operation) int { return strings.Compare(a.key, b.key) })
	// A caller that gives up must not take the others' transaction along.
	ctx := context.WithoutCancel(batch[0].ctx)
	var (
		t       *tx
		errs    []error
		err     error
		started = time.Now()
	)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		t, errs = &tx{}, make([]error, len(batch))
		if err = c.transact(ctx, t, batch, errs); err == nil || !c.db.lost(err) || time.Since(started) > retryFor || c.stopping() {
			break
		}
		time.Sleep(rand.N(wait))
	}
	for i, op := range batch {
		if errs[i] == nil {
			errs[i] = err
		}
		op.result <- errs[i]
	}
	if err == nil {
		for _, f := range t.after {
			f()
		}
	}
}

// transact fills errs with the operations' own errors; the error it returns
// itself is everybody's.
func (c *committer) transact(ctx context.Context, t *tx, batch []*operation, errs []error) error {
	var err error
	if t.txConn, err = c.db.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for i, op := range batch {
		if errs[i] = op.ctx.Err(); errs[i] != nil {
			continue
		}
		errs[i], err = t.try(ctx, op.run)
		if err == nil && errs[i] != nil && c.db.lost(errs[i]) {
			err = errs[i] // not its own
		}
		if err != nil {
			_ = t.rollback(ctx) // the error that matters is there
			return err
		}
	}
	if len(t.news) > 0 {
		if err := t.txConn.announce(ctx, slices.Collect(maps.Keys(t.news))); err != nil {
			_ = t.rollback(ctx)
			return fmt.Errorf("announce: %w", err)
		}
	}
	if err := t.commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	c.commits.Add(1)
	return nil
}

// A tx is a write transaction as one operation sees it.
type tx struct {
	txConn
	after []func()
	news  map[string]bool
}

// try runs an operation under a savepoint. The first error is the operation's
// own, undone; the second means that the whole transaction is lost.
func (t *tx) try(ctx context.Context, run func(ctx context.Context, t *tx) error) (own, all error) {
	after := len(t.after)
	if _, err := t.exec(ctx, "SAVEPOINT operation"); err != nil {
		return nil, fmt.Errorf("savepoint: %w", err)
	}
	if own = run(ctx, t); own != nil {
		t.after = t.after[:after]
		// A full disk makes SQLite roll back by itself, with everything that
		// the transaction held; then there is no savepoint to return to.
		if _, err := t.exec(ctx, "ROLLBACK TO SAVEPOINT operation"); err != nil {
			return own, fmt.Errorf("%w (and the transaction is lost: %w)", own, err)
		}
	}
	if _, err := t.exec(ctx, "RELEASE SAVEPOINT operation"); err != nil {
		return own, fmt.Errorf("release: %w", err)
	}
	return own, nil
}

// inside runs do under a savepoint of its own, where it can meet what others
// write at the same time: an error then undoes no more than that.
func (t *tx) inside(ctx context.Context, name string, do func() error) error {
	if !t.shared() {
		return do()
	}
	if _, err := t.exec(ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	own := do()
	if own != nil {
		if _, err := t.exec(ctx, "ROLLBACK TO SAVEPOINT "+name); err != nil {
			return errors.Join(own, err)
		}
	}
	if _, err := t.exec(ctx, "RELEASE SAVEPOINT "+name); err != nil {
		return errors.Join(own, err)
	}
	return own
}

// announce tells other processes after the commit.
func (t *tx) announce(news string) {
	if t.news == nil {
		t.news = map[string]bool{}
	}
	t.news[news] = true
}

// afterCommit calls f once the transaction is on disk. It must not block.
func (t *tx) afterCommit(f func()) { t.after = append(t.after, f) }
