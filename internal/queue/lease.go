package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNotHeld is returned by Holds for a portal whose lease this process does not
// hold, and cancels the runs of a portal whose lease it has lost.
var ErrNotHeld = errors.New("this process does not hold the lease of the portal")

// A lease is the right to work one portal, for as long as it is renewed.
//
// The clocks of two processes are never compared. The holder counts its term from
// before it sent the last renewal that succeeded. A process takes over only after
// it has seen the same lease without a renewal for longer than a term, counted from
// when it saw the lease first, which was after that renewal. So the holder always
// stops first, if it is running; if it was frozen, it notices the loss when it runs
// again, before it sends anything (see Holds) and at every claim.
type lease struct {
	portal string
	token  int64
	term   time.Duration

	ctx  context.Context // ends when the lease is lost
	lose context.CancelCauseFunc

	mu      sync.Mutex
	renewed time.Time // before the last renewal was sent
	timer   *time.Timer
	leaving bool // no run may start
	runs    int
	idle    chan struct{} // closed when leaving and no run is left
}

func newLease(portal string, token int64, term time.Duration, sent time.Time) *lease {
	l := &lease{portal: portal, token: token, term: term, renewed: sent, idle: make(chan struct{})}
	l.ctx, l.lose = context.WithCancelCause(context.Background())
	l.timer = time.AfterFunc(l.left(), l.expire)
	return l
}

// left returns how long the lease is still valid. Time during which the machine
// slept counts; the monotonic clock alone does not include it.
func (l *lease) left() time.Duration {
	now := time.Now()
	return l.term - max(now.Sub(l.renewed), now.Round(0).Sub(l.renewed.Round(0)))
}

// renew notes a renewal that was sent at a time.
func (l *lease) renew(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return // a lost lease stays lost, because its runs are ending
	}
	l.renewed = sent
	l.timer.Reset(max(l.left(), 0))
}

func (l *lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.left(); left > 0 {
		l.timer.Reset(left)
		return
	}
	l.lose(fmt.Errorf("%w: no renewal succeeded for %s", ErrNotHeld, l.term))
}

// holds returns nil if the lease is valid for a tenth of its term at least.
func (l *lease) holds() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ctx.Err(); err != nil {
		return context.Cause(l.ctx)
	}
	if l.left() < l.term/10 {
		return ErrNotHeld
	}
	return nil
}

// enter counts a new run, unless none may start. The run calls leave.
func (l *lease) enter() bool {
	if l.holds() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving {
		return false
	}
	l.runs++
	return true
}

func (l *lease) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs--
	l.update()
}

// drain lets no further run start; idle is closed when the last has ended.
func (l *lease) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leaving {
		l.leaving = true
		l.update()
	}
}

func (l *lease) isLeaving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leaving
}

// update closes idle if the lease is leaving and the last run has ended.
func (l *lease) update() {
	if l.leaving && l.runs == 0 {
		close(l.idle)
	}
}

func (l *lease) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs
}

// end stops the timer and ends the context.
func (l *lease) end() {
	l.timer.Stop()
	l.lose(ErrNotHeld)
}

// Holds returns nil when this process may act for a portal now: no other process
// works it, and none will before a request that starts now has been sent. Call it
// directly before each request. On SQLite it is always nil: the process with the
// lock has all portals until it ends.
func (q *Queue) Holds(portal string) error {
	if !q.db.leases() {
		return nil
	}
	l := q.leases.of(portal)
	if l == nil {
		return ErrNotHeld
	}
	return l.holds()
}
