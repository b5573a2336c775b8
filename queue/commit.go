package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	ctx    context.Context // only asked whether the caller still waits
	run    func(ctx context.Context, t *tx) error
	result chan error
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
	op := &operation{ctx: ctx, run: run, result: make(chan error, 1)}
	select {
	case c.operations <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.quit:
		return ErrClosed
	}
	select {
	case err := <-op.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop waits for the operation under way and refuses all later ones.
func (c *committer) stop() {
	c.once.Do(func() { close(c.quit) })
	<-c.done
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
	gather:
		for len(batch) < maxBatch {
			select {
			case op := <-c.operations:
				batch = append(batch, op)
			default:
				break gather
			}
		}
		c.commit(batch)
	}
}

// commit runs a batch in one transaction and tells every caller its result.
func (c *committer) commit(batch []*operation) {
	// A caller that gives up must not take the others' transaction along.
	ctx := context.WithoutCancel(batch[0].ctx)
	errs := make([]error, len(batch))
	t := &tx{}
	err := c.transact(ctx, t, batch, errs)
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
		if errs[i], err = t.try(ctx, op.run); err != nil {
			_ = t.rollback(ctx) // the error that matters is there
			return err
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

// afterCommit calls f once the transaction is on disk. It must not block.
func (t *tx) afterCommit(f func()) { t.after = append(t.after, f) }
