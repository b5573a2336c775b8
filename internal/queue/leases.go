package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

// leases are the leases that this process holds, on a database that several
// processes share. The zero value has none.
type leases struct {
	mu   sync.Mutex
	held map[string]*lease
}

func (ls *leases) of(portal string) *lease {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.held[portal]
}

func (ls *leases) add(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.held == nil {
		ls.held = map[string]*lease{}
	}
	ls.held[l.portal] = l
}

func (ls *leases) remove(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.held, l.portal)
}

func (ls *leases) all() []*lease {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Values(ls.held))
}

// A holder takes, renews and gives back the leases of a worker.
type holder struct {
	q    *Queue
	d    *dispatcher
	id   string
	wake wakeup.Signal // look at once

	rows     map[string]leaseRow
	workers  map[string]workerRow
	ending   sync.WaitGroup // of leases that are being given back
	stopping atomic.Bool    // River stops as a whole
}

func newHolder(q *Queue, d *dispatcher) *holder {
	return &holder{
		q: q, d: d, id: rand.Text(), wake: wakeup.New(),
		rows: map[string]leaseRow{}, workers: map[string]workerRow{},
	}
}

// loop holds leases until ctx ends. Then it gives back each lease as soon as its
// last run has ended, and returns when stopped is closed and all are given back.
func (h *holder) loop(ctx context.Context, stopped <-chan struct{}) {
	every := h.q.options.Lease / 5
	timer := time.NewTimer(0)
	defer timer.Stop()
	leaving := ctx.Done()
	for {
		select {
		case <-timer.C:
		case <-h.wake:
		case <-leaving:
			leaving = nil
			h.leave(ctx)
		case <-stopped:
			if leaving != nil {
				h.leave(ctx)
			}
			h.ending.Wait()
			return
		}
		// Renewals continue while runs end, because runs need their leases.
		if err := h.tick(context.WithoutCancel(ctx), ctx.Err() != nil); err != nil {
			h.q.options.Log.WarnContext(ctx, "cannot renew the leases, trying again", slog.Any("error", err))
		}
		timer.Reset(every)
	}
}

// tick renews the leases, and takes or gives back leases up to a fair share.
func (h *holder) tick(ctx context.Context, leaving bool) error {
	ctx, cancel := context.WithTimeout(ctx, h.q.options.Lease/2)
	defer cancel()
	if err := h.renew(ctx, leaving); err != nil {
		return err
	}
	for _, l := range h.q.leases.all() {
		if l.ctx.Err() != nil {
			h.giveBack(l, 0)
		}
	}
	if err := h.returnOrphans(ctx); err != nil || leaving {
		return err
	}
	portals := h.q.options.Portals
	if portals == nil {
		var err error
		if portals, err = h.allPortals(ctx); err != nil {
			return err
		}
	}
	v := view{me: h.id, term: h.q.options.Lease, portals: portals, rows: h.rows, workers: h.workers, mine: map[string]bool{}}
	for _, id := range v.silenced() {
		h.logSilenced(id)
	}
	held := h.q.leases.all()
	for _, l := range held {
		v.mine[l.portal] = true
	}
	for _, part := range v.parts() {
		for _, portal := range part.toTake() {
			if err := h.take(ctx, portal); err != nil {
				return err
			}
		}
		h.giveUp(part, held)
	}
	return h.forget(ctx)
}

// giveUp gives back the leases above a fair share, if other processes can take them.
func (h *holder) giveUp(v view, held []*lease) {
	staying := slices.DeleteFunc(slices.Clone(held), func(l *lease) bool { return !v.mine[l.portal] || l.isLeaving() })
	if excess := len(staying) - v.target(); excess > 0 && len(v.workers) > 1 {
		slices.SortFunc(staying, func(a, b *lease) int { return a.busy() - b.busy() })
		for _, l := range staying[:excess] {
			h.giveBack(l, h.q.options.Grace)
		}
	}
}

// allPortals returns the portals that have waiting runs or a lease.
func (h *holder) allPortals(ctx context.Context) ([]string, error) {
	all, err := h.q.waitingPortals(ctx)
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

	// The row is unchanged since it was read, so no process has renewed or taken it.
	takeLease = `
UPDATE b24_lease SET owner = $2, token = token + 1, beat = 0
WHERE portal = $1 AND token = $3 AND beat = $4
RETURNING token, rested`

	// The holder may have used up the portal's limits by the time that it is killed.
	usedLease = `UPDATE b24_lease SET rested = 0 WHERE portal = $1`

	returnLease = `UPDATE b24_lease SET owner = '', token = token + 1, rested = $4 WHERE portal = $1 AND owner = $2 AND token = $3`
)

// errTaken means that another process took the lease first.
var errTaken = errors.New("another process has taken the lease")

// take takes a free lease, and recovers the runs of its last holder.
func (h *holder) take(ctx context.Context, portal string) error {
	seen, sent := h.rows[portal], time.Now()
	var token, spare int64
	err := h.q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, newLeaseRow, portal); err != nil {
			return err
		}
		if err := t.queryRow(ctx, takeLease, portal, h.id, seen.token, seen.heartbeat).Scan(&token, &spare); err != nil {
			return noRow(err, errTaken)
		}
		if _, err := t.exec(ctx, usedLease, portal); err != nil {
			return err
		}
		return h.q.recover(ctx, t, portal)
	})
	if errors.Is(err, errTaken) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take portal %s: %w", portal, err)
	}
	if token > 1 && seen.owner != h.id { // the portal had another holder before
		h.q.noteTakeover(portal, time.Now().Add(-time.Duration(spare)*time.Microsecond))
	}
	l := newLease(portal, token, h.q.options.Lease, sent)
	h.q.leases.add(l)
	h.d.shards.open(l)
	h.q.touched.add(portal)
	attrs := []any{slog.String("portal", portal)}
	if seen.owner != "" && seen.owner != h.id {
		attrs = append(attrs, slog.Duration("silent", time.Since(seen.since).Round(time.Millisecond)))
	}
	h.q.options.Log.InfoContext(ctx, "portal lease acquired", attrs...)
	return nil
}

// returnOrphans gives back leases that this process owns in the database only: it
// took one and the answer was lost, or it could not give one back. tick renews such
// a lease with the others, so it would never expire, and no process would work its
// portal.
func (h *holder) returnOrphans(ctx context.Context) error {
	for portal, row := range h.rows {
		if row.owner != h.id || h.q.leases.of(portal) != nil {
			continue
		}
		if err := h.returnRow(ctx, portal, row.token, 0); err != nil {
			return fmt.Errorf("give back portal %s: %w", portal, err)
		}
	}
	return nil
}

// returnRow gives back a portal in the database, if this process owns it there.
func (h *holder) returnRow(ctx context.Context, portal string, token int64, spare time.Duration) error {
	return h.q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, returnLease, portal, h.id, token, spare.Microseconds())
		t.announce(leaseNews)
		return err
	})
}

// giveBack ends a lease: no run starts any more; running ones may take grace, and
// are then cancelled. It returns at once.
func (h *holder) giveBack(l *lease, grace time.Duration) {
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
func (h *holder) finish(l *lease) {
	ctx, cancel := context.WithTimeout(context.Background(), h.q.options.Lease)
	defer cancel()
	lost := l.ctx.Err() != nil
	l.end() // first: callers of Holds, such as a catch-up, must stop before another process may start
	h.d.close(ctx, l.portal, h.stopping.Load())
	var spare time.Duration
	if h.q.options.Spare != nil {
		spare = h.q.options.Spare(l.portal)
	}
	if err := h.returnRow(ctx, l.portal, l.token, spare); err != nil { // the lease will expire
		h.q.options.Log.WarnContext(ctx, "cannot give back the lease of a portal", slog.String("portal", l.portal), slog.Any("error", err))
	}
	level, reason := slog.LevelInfo, "this process gives it back"
	if lost {
		level, reason = slog.LevelWarn, context.Cause(l.ctx).Error()
	}
	h.q.options.Log.Log(ctx, level, "portal lease released", slog.String("portal", l.portal), slog.String("reason", reason))
	h.q.leases.remove(l)
	h.wake.Send()
}

// leave gives back all leases of a worker that ends, and removes its row.
func (h *holder) leave(ctx context.Context) {
	h.stopping.Store(true)
	for _, l := range h.q.leases.all() {
		h.giveBack(l, h.q.options.Grace+h.q.options.Lease) // River cancels the runs before that
	}
	err := h.q.writes.doInOwnTransaction(context.WithoutCancel(ctx), func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, endWorker, h.id)
		return err
	})
	if err != nil {
		h.q.options.Log.WarnContext(ctx, "cannot remove this process from the list of workers", slog.Any("error", err))
	}
}
