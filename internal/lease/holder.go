package lease

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// News announces that a lease was returned. No portal is called that.
const News = "\x01lease"

// Options of a holder. All but Spare and Silenced are required.
type Options struct {
	// Term is how long a process may send no heartbeat before others take over its
	// portals. Grace is how long the runs of a portal may take when another process
	// is to get it.
	Term, Grace time.Duration

	// Portals are the ones that this process can work, "" for the work that belongs to
	// no portal. A nil list means those that Waiting returns, and those that have a lease.
	Portals func() []string
	Waiting func(ctx context.Context) (map[string]bool, error)

	// Transact runs do in its own transaction, at once. Commit does so behind other
	// writes, repeats it after a lost connection, and sends News if news is true.
	Transact func(ctx context.Context, do func(t store.Tx) error) error
	Commit   func(ctx context.Context, news bool, do func(ctx context.Context, t store.Tx) error) error

	// TakeOver runs take like Commit. When take succeeds, it makes the runs of the
	// last owner wait again in the same transaction.
	TakeOver func(ctx context.Context, portal string, take func(ctx context.Context, t store.Tx) error) error

	// Acquired is called with a new lease. used is until when another process may have
	// used up the portal's limits; zero when none has worked it before.
	Acquired func(l *Lease, used time.Time)

	// Ended is called when the last run of a lease has ended, before another process
	// can acquire it.
	Ended func(portal string)

	// Now is the clock, which has a monotonic reading.
	Now func() time.Time

	// Spare returns how long ago a portal's limits were last used up. nil means now.
	Spare func(portal string) time.Duration

	// Silenced is called when another process sends no heartbeat any more.
	Silenced func()

	Log *slog.Logger
}

// A Holder acquires, renews and returns the leases of a process.
type Holder struct {
	o    Options
	set  *Set
	id   string
	wake wakeup.Signal // look at once

	rows    map[string]leaseRow
	sums    leaseSums // of rows
	workers map[string]workerRow
	ending  sync.WaitGroup // of leases that are being returned
}

// NewHolder returns a holder that keeps its leases in a set.
func NewHolder(set *Set, o Options) *Holder {
	return &Holder{o: o, set: set, id: rand.Text(), wake: wakeup.New(), rows: map[string]leaseRow{}, workers: map[string]workerRow{}}
}

// Look makes the holder look at the leases at once, such as after News.
func (h *Holder) Look() { h.wake.Send() }

// Run holds leases until ctx ends. Then it returns each lease as soon as its last
// run has ended. It ends when stopped is closed and all are returned.
func (h *Holder) Run(ctx context.Context, stopped <-chan struct{}) {
	every := h.o.Term / 5
	timer := time.NewTimer(0)
	defer timer.Stop()
	leaving := ctx.Done()
	for {
		select {
		case <-timer.C:
		case <-h.wake:
		case <-leaving:
			leaving = nil
			h.leave()
		case <-stopped:
			if leaving != nil {
				h.leave()
			}
			h.ending.Wait()
			h.end(ctx)
			return
		}
		// Renewals continue while runs end, because runs need their leases.
		if err := h.tick(context.WithoutCancel(ctx), ctx.Err() != nil); err != nil {
			h.o.Log.WarnContext(ctx, "cannot renew the leases, trying again", slog.Any("error", err))
		}
		timer.Reset(every)
	}
}

// tick renews the leases, and takes or returns leases up to a fair share.
func (h *Holder) tick(ctx context.Context, leaving bool) error {
	ctx, cancel := context.WithTimeout(ctx, h.o.Term/2)
	defer cancel()
	if err := h.renew(ctx, leaving); err != nil {
		return err
	}
	for _, l := range h.set.leases() {
		if l.ctx.Err() != nil {
			h.release(l, 0)
		}
	}
	if err := h.returnOrphans(ctx); err != nil || leaving {
		return err
	}
	portals := h.o.Portals()
	if portals == nil {
		var err error
		if portals, err = h.allPortals(ctx); err != nil {
			return err
		}
	}
	v := view{me: h.id, now: h.o.Now(), term: h.o.Term, portals: portals, rows: h.rows, workers: h.workers, owners: h.workers, mine: map[string]bool{}}
	for _, id := range v.silenced() {
		h.logSilenced(id)
	}
	held := h.set.leases()
	for _, l := range held {
		v.mine[l.portal] = true
	}
	for _, part := range v.parts() {
		for _, portal := range part.toTake() {
			if err := h.acquire(ctx, portal); err != nil {
				return err
			}
		}
		h.giveUp(part, held)
	}
	return h.forget(ctx)
}

// giveUp returns the leases above a fair share, if other processes can take them.
func (h *Holder) giveUp(v view, held []*Lease) {
	staying := slices.DeleteFunc(slices.Clone(held), func(l *Lease) bool { return !v.mine[l.portal] || l.isLeaving() })
	if excess := len(staying) - v.target(); excess > 0 && len(v.workers) > 1 {
		slices.SortFunc(staying, func(a, b *Lease) int { return a.busy() - b.busy() })
		for _, l := range staying[:excess] {
			h.release(l, h.o.Grace)
		}
	}
}

// allPortals returns the portals that have waiting runs or a lease.
func (h *Holder) allPortals(ctx context.Context) ([]string, error) {
	all, err := h.o.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	for portal := range h.rows {
		all[portal] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

const (
	newLeaseRow = `
INSERT INTO b24_lease (portal, owner, token, beat) VALUES ($1, '', 0, 0)
ON CONFLICT (portal) DO NOTHING`

	// The heartbeat of the owner, which it cannot send until this transaction has ended.
	lockHeartbeat = `SELECT beat FROM b24_worker WHERE id = $1 FOR SHARE`

	// Claims that are being stored end first: see Fence.
	lockLease = `SELECT token FROM b24_lease WHERE portal = $1 FOR UPDATE`

	// The row is unchanged since it was read, so no process has taken it.
	takeLease = `
UPDATE b24_lease SET owner = $2, token = token + 1, beat = 0
WHERE portal = $1 AND token = $3 AND beat = $4
RETURNING token, rested`

	// The holder may have used up the portal's limits by the time that it is killed.
	usedLease = `UPDATE b24_lease SET rested = 0 WHERE portal = $1`

	returnLease = `UPDATE b24_lease SET owner = '', token = token + 1, rested = $4 WHERE portal = $1 AND owner = $2 AND token = $3`
)

// errTaken means that another process took the lease first, or that its owner lives.
var errTaken = errors.New("another process has taken the lease")

// silent checks, and ensures until the transaction ends, that the owner of a lease has
// sent no heartbeat since the last one that was read.
func (h *Holder) silent(ctx context.Context, t store.Tx, owner string) error {
	if owner == "" || owner == h.id {
		return nil
	}
	var heartbeat int64
	err := t.QueryRow(ctx, lockHeartbeat, owner).Scan(&heartbeat)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // it has ended, or was forgotten
	}
	if last, ok := h.workers[owner]; err == nil && (!ok || last.heartbeat != heartbeat) {
		return errTaken
	}
	return err
}

// acquire takes a free lease.
func (h *Holder) acquire(ctx context.Context, portal string) error {
	seen, sent := h.rows[portal], h.o.Now()
	var token, spare int64
	err := h.o.TakeOver(ctx, portal, func(ctx context.Context, t store.Tx) error {
		if err := h.silent(ctx, t, seen.owner); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, newLeaseRow, portal); err != nil {
			return err
		}
		var old int64
		if err := t.QueryRow(ctx, lockLease, portal).Scan(&old); err != nil {
			return err
		}
		err := t.QueryRow(ctx, takeLease, portal, h.id, seen.token, seen.heartbeat).Scan(&token, &spare)
		if errors.Is(err, sql.ErrNoRows) {
			return errTaken
		}
		if err != nil {
			return err
		}
		_, err = t.Exec(ctx, usedLease, portal)
		return err
	})
	if errors.Is(err, errTaken) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take portal %s: %w", portal, err)
	}
	var used time.Time
	if token > 1 && seen.owner != h.id { // the portal had another holder before
		used = h.o.Now().Add(-time.Duration(spare) * time.Microsecond)
	}
	l := newLease(portal, token, h.o.Term, sent, h.o.Now)
	h.set.add(l)
	h.o.Acquired(l, used)
	attrs := []any{slog.String("portal", portal)}
	if seen.owner != "" && seen.owner != h.id {
		attrs = append(attrs, slog.Duration("silent", h.o.Now().Sub(seen.lastSign(h.workers)).Round(time.Millisecond)))
	}
	h.o.Log.InfoContext(ctx, "portal lease acquired", attrs...)
	return nil
}

// returnOrphans returns leases that this process owns in the database only: it
// took one and the answer was lost, or it could not return one. tick renews such
// a lease with the others, so it would never expire, and no process would work its
// portal.
func (h *Holder) returnOrphans(ctx context.Context) error {
	for portal, row := range h.rows {
		if row.owner != h.id || h.set.Of(portal) != nil {
			continue
		}
		if err := h.returnRow(ctx, portal, row.token, 0); err != nil {
			return fmt.Errorf("give back portal %s: %w", portal, err)
		}
	}
	return nil
}

// returnRow returns a portal in the database, if this process owns it there.
func (h *Holder) returnRow(ctx context.Context, portal string, token int64, spare time.Duration) error {
	return h.o.Commit(ctx, true, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, returnLease, portal, h.id, token, spare.Microseconds())
		return err
	})
}

// release ends a lease: no run starts any more; running ones may take grace, and
// are then cancelled. It returns at once.
func (h *Holder) release(l *Lease, grace time.Duration) {
	if l.isLeaving() {
		return
	}
	l.drain()
	h.ending.Go(func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-l.idle:
		case <-l.ctx.Done():
		case <-timer.C:
			l.lose(fmt.Errorf("%w: this process gives it back", ErrNotHeld))
		}
		<-l.idle
		h.finish(l)
	})
}

// finish ends a lease without runs.
func (h *Holder) finish(l *Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), h.o.Term)
	defer cancel()
	lost := l.ctx.Err() != nil
	l.end() // first: callers of Holds, such as a catch-up, must stop before another process may start
	h.o.Ended(l.portal)
	var spare time.Duration
	if h.o.Spare != nil && l.portal != "" {
		spare = h.o.Spare(l.portal)
	}
	if err := h.returnRow(ctx, l.portal, l.token, spare); err != nil { // the lease will expire
		h.o.Log.WarnContext(ctx, "cannot give back the lease of a portal", slog.String("portal", l.portal), slog.Any("error", err))
	}
	level, reason := slog.LevelInfo, "this process gives it back"
	if lost {
		level, reason = slog.LevelWarn, context.Cause(l.ctx).Error()
	}
	h.o.Log.Log(ctx, level, "portal lease released", slog.String("portal", l.portal), slog.String("reason", reason))
	h.set.remove(l)
	h.wake.Send()
}

// leave returns all leases of a process that ends.
func (h *Holder) leave() {
	for _, l := range h.set.leases() {
		h.release(l, h.o.Grace+h.o.Term) // the caller cancels the runs before that
	}
}

// end removes the row of this process, which holds no lease any more.
func (h *Holder) end(ctx context.Context) {
	err := h.o.Commit(context.WithoutCancel(ctx), false, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, endWorker, h.id)
		return err
	})
	if err != nil {
		h.o.Log.WarnContext(ctx, "cannot remove this process from the list of workers", slog.Any("error", err))
	}
}
