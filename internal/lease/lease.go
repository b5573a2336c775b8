package lease

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// ErrNotHeld is returned for a portal whose lease this process does not hold, and
// cancels the runs of a portal whose lease it has lost.
var ErrNotHeld = errors.New("this process does not hold the lease of the portal")

// A Lease is the right to work one portal, for as long as it is renewed.
type Lease struct {
	portal string
	token  int64
	term   time.Duration
	now    func() time.Time

	ctx  context.Context // ends when the lease is lost
	lose context.CancelCauseFunc

	mu      sync.Mutex
	renewed time.Time // before the last renewal was sent
	timer   *time.Timer
	leaving bool // no run may start
	runs    int
	idle    chan struct{} // closed when leaving and no run is left
}

func newLease(portal string, token int64, term time.Duration, sent time.Time, now func() time.Time) *Lease {
	l := &Lease{portal: portal, token: token, term: term, now: now, renewed: sent, idle: make(chan struct{})}
	l.ctx, l.lose = context.WithCancelCause(context.Background())
	l.timer = time.AfterFunc(l.left(), l.expire)
	return l
}

// Portal returns the portal that the lease is for.
func (l *Lease) Portal() string { return l.portal }

// Token returns the token that the row has as long as the lease is ours.
func (l *Lease) Token() int64 { return l.token }

// Context returns a context that ends when the lease is lost, with the reason.
func (l *Lease) Context() context.Context { return l.ctx }

// left returns how long the lease is still valid. Time during which the machine
// slept counts; the monotonic clock alone does not include it.
func (l *Lease) left() time.Duration {
	now := l.now()
	return l.term - max(now.Sub(l.renewed), now.Round(0).Sub(l.renewed.Round(0)))
}

// renew notes a renewal that was sent at a time.
func (l *Lease) renew(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return // a lost lease stays lost, because its runs are ending
	}
	l.renewed = sent
	l.timer.Reset(max(l.left(), 0))
}

func (l *Lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.left(); left > 0 {
		l.timer.Reset(left)
		return
	}
	l.lose(fmt.Errorf("%w: no renewal succeeded for %s", ErrNotHeld, l.term))
}

// Holds returns nil if the lease is valid for a tenth of its term at least.
func (l *Lease) Holds() error {
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

// Enter counts a new run, unless none may start. The run calls Leave.
func (l *Lease) Enter() bool {
	if l.Holds() != nil {
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

// Add counts n more runs, for a caller that has entered and not left.
func (l *Lease) Add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs += n
}

// Leave ends what Enter or Add has counted.
func (l *Lease) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs--
	l.update()
}

// drain lets no further run start; idle is closed when the last has ended.
func (l *Lease) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leaving {
		l.leaving = true
		l.update()
	}
}

// isLeaving reports whether no run may start any more.
func (l *Lease) isLeaving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leaving
}

// update closes idle if the lease is leaving and the last run has ended.
func (l *Lease) update() {
	if l.leaving && l.runs == 0 {
		close(l.idle)
	}
}

func (l *Lease) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs
}

// end stops the timer and ends the context.
func (l *Lease) end() {
	l.timer.Stop()
	l.lose(ErrNotHeld)
}

const fence = `SELECT token FROM b24_lease WHERE portal = $1 AND token = $2 FOR KEY SHARE SKIP LOCKED`

// Fence reports whether a portal's lease has a token, and keeps other processes from
// acquiring it until the transaction ends. While one acquires it, the result is false.
func Fence(ctx context.Context, t store.Tx, portal string, token int64) (bool, error) {
	err := t.QueryRow(ctx, fence, portal, token).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// A Set is the leases that this process holds.
type Set struct {
	all bool // this process works all portals, without leases

	mu   sync.Mutex
	held map[string]*Lease
}

// NewSet returns a set without leases. all is for a database that one process works:
// it holds each portal without a lease.
func NewSet(all bool) *Set { return &Set{all: all, held: map[string]*Lease{}} }

// Of returns the lease of a portal, or nil.
func (s *Set) Of(portal string) *Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[portal]
}

// Holds returns nil when this process may act for a portal now: no other process
// works it, and none will before a request that starts now has been sent. Call it
// directly before each request.
func (s *Set) Holds(portal string) error {
	l := s.Of(portal)
	switch {
	case s.all:
		return nil
	case l == nil:
		return ErrNotHeld
	}
	return l.Holds()
}

// Fence is the function Fence for the lease of a portal. The result is false without one.
func (s *Set) Fence(ctx context.Context, t store.Tx, portal string) (bool, error) {
	l := s.Of(portal)
	if s.all || l == nil {
		return s.all, nil
	}
	return Fence(ctx, t, portal, l.token)
}

// Context returns a context that ends, with the reason, when this process does not hold
// the lease of a portal any more.
func (s *Set) Context(portal string) context.Context {
	l := s.Of(portal)
	switch {
	case s.all:
		return context.Background()
	case l == nil:
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrNotHeld)
		return ctx
	}
	return l.ctx
}

func (s *Set) add(l *Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[l.portal] = l
}

func (s *Set) remove(l *Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, l.portal)
}

func (s *Set) leases() []*Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.held))
}
