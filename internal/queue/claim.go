package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/store"
)

const (
	// claimBatch bounds how many runs of a portal one transaction claims, so that
	// events do not wait long for it.
	claimBatch = 100

	// notHeldRetry is the wait while the lease cannot be used, such as when it ends.
	notHeldRetry = 250 * time.Millisecond

	// lockedRetry is the wait while another process is changing the lease.
	lockedRetry = 50 * time.Millisecond
)

const (
	// buried is a condition on a run r: its entity was deleted, tombstoneRetention ago or
	// later.
	buried = `EXISTS (
    SELECT 1 FROM b24_tombstone t
    WHERE t.portal = r.portal AND t.entity = r.entity AND t.seen_at > $2 - 2592000000000)`

	// selectDue is journal.SelectRuns with a run as it is claimed.
	selectDue = journal.SelectRunsFrom + `, (r.deleted OR ` + buried + `), FALSE` + journal.SelectRunsTo

	dueRuns = ` WHERE r.state = 'waiting' AND r.portal = $1 AND r.due_at <= $2 AND ` + journal.WhereStartable + ` AND ` + journal.WhereFree

	selectDueLive     = selectDue + dueRuns + ` AND r.priority = 0 ORDER BY r.due_at, r.id LIMIT $3`
	selectDueBackfill = selectDue + dueRuns + ` AND r.priority = 1 ORDER BY r.due_at, r.id LIMIT $3`

	claimRuns = `
UPDATE b24_run AS r SET
    state = 'running',
    claim = $1,
    attempt = r.attempt + 1,
    started_at = $2,
    not_before = 0,
    deleted = (r.deleted OR ` + buried + `)
WHERE r.state = 'waiting' AND r.id`

	selectNextLive = `
SELECT r.due_at FROM b24_run r
WHERE r.state = 'waiting' AND r.portal = $1 AND r.due_at > $2 AND r.priority = 0 AND ` + journal.WhereStartable + `
ORDER BY r.due_at LIMIT 1`

	selectNextBackfill = `
SELECT r.due_at FROM b24_run r
WHERE r.state = 'waiting' AND r.portal = $1 AND r.due_at > $2 AND r.priority = 1 AND ` + journal.WhereStartable + `
ORDER BY r.due_at LIMIT 1`

	// Every entity has a name: the condition makes SQLite use the index of busy runs.
	selectClaimed = journal.SelectRuns + ` WHERE r.portal = $1 AND r.entity > '' AND r.state IN ('queued', 'running') AND r.claim = $2`
)

// claims are what one transaction claims for a shard.
type claims struct {
	s    *shard
	runs []*Run
	done bool // the portal is ours, and an uncertain claim was looked for
	more bool // there may be more due runs, and room for them

	// next is the time of the next look, if looked.
	looked bool
	next   time.Time
}

// claim claims the due runs of the portals that a transaction has changed, as its
// last step. It waits for no lock that another transaction has.
//
// A transaction whose connection is lost may have been committed. Then the shard keeps
// the number of its claims, and the next claim finds the runs by it.
func (p *pool) claim(ctx context.Context, t *tx) error {
	now := clock()
	for _, portal := range slices.Sorted(maps.Keys(t.changes)) {
		c, s := t.changes[portal], p.shards.of(portal)
		if s == nil || !c.now && !c.look {
			continue
		}
		if now.Before(s.notBefore) {
			s.setNext(s.notBefore)
			continue
		}
		if !p.enter() {
			return nil
		}
		if s.lease != nil && !s.lease.Enter() {
			p.running.Done()
			s.setNext(now.Add(notHeldRetry)) // mostly the next holder looks at all runs of the portal
			continue
		}
		one := &claims{s: s, looked: c.look}
		p.claimed = append(p.claimed, one)
		if err := one.claim(ctx, t, p.q, now); err != nil {
			return fmt.Errorf("claim runs of portal %s: %w", portal, err)
		}
	}
	return nil
}

func (c *claims) claim(ctx context.Context, t *tx, q *Queue, now time.Time) error {
	s := c.s
	if s.lease != nil {
		held, err := lease.Fence(ctx, t, s.portal, s.lease.Token())
		if err != nil {
			return err
		}
		if !held {
			c.looked, c.next = true, now.Add(lockedRetry)
			return nil
		}
	}
	if s.number == 0 {
		s.number = 1 + rand.Int64N(math.MaxInt64-1)
	}
	if s.uncertain {
		if err := c.adopt(ctx, t, q, now); err != nil {
			return err
		}
	}
	c.done = true
	for priority, text := range [priorities]string{journal.Live: selectDueLive, journal.Backfill: selectDueBackfill} {
		limit := min(s.room(journal.Priority(priority)), claimBatch) - len(c.runs)
		if limit <= 0 {
			continue // the end of a run makes room, and changes the portal
		}
		due, err := store.All(ctx, t, "", journal.ScanRun(now), text+t.SkipLocked("r"), s.portal, store.Micros(now), limit)
		if err != nil {
			return err
		}
		if err := c.take(ctx, t, q, oneOfEach(due), now); err != nil {
			return err
		}
		if c.more = len(due) == limit; c.more {
			break
		}
	}
	if at := s.nextAt(); c.looked || !s.known || !at.IsZero() && !at.After(now) {
		return c.findNext(ctx, t, now)
	}
	return nil
}

// oneOfEach returns the first run of each entity.
func oneOfEach(due []journal.Run) []journal.Run {
	seen := map[string]bool{}
	return slices.DeleteFunc(due, func(i journal.Run) bool {
		was := seen[i.Entity]
		seen[i.Entity] = true
		return was
	})
}

// take makes due runs running.
func (c *claims) take(ctx context.Context, t *tx, q *Queue, due []journal.Run, now time.Time) error {
	if len(due) == 0 {
		return nil
	}
	ids := make([]int64, len(due))
	for i, info := range due {
		ids[i] = info.ID
	}
	among, list := t.Among(3, ids)
	n, err := t.Exec(ctx, claimRuns+among, c.s.number, store.Micros(now), list)
	if err != nil {
		return err
	}
	if n != int64(len(due)) {
		return fmt.Errorf("%d of %d runs were claimed", n, len(due))
	}
	for _, info := range due {
		repeated := !info.Started.IsZero()
		info.State, info.Started, info.NotBefore = journal.Running, store.Time(store.Micros(now)), time.Time{}
		info.Attempt++
		r := q.newRun(info, c.s.number)
		r.Repeated = repeated
		c.runs = append(c.runs, r)
	}
	return nil
}

// adopt finds the runs of a claim whose commit was not certain.
func (c *claims) adopt(ctx context.Context, t *tx, q *Queue, now time.Time) error {
	found, err := store.All(ctx, t, "", journal.ScanRun(now), selectClaimed, c.s.portal, c.s.number)
	if err != nil {
		return err
	}
	for _, info := range found {
		r := q.newRun(info, c.s.number)
		r.Repeated = true // the claim has replaced the time of an earlier start
		c.runs = append(c.runs, r)
	}
	return nil
}

// findNext finds when the next run is due.
func (c *claims) findNext(ctx context.Context, t *tx, now time.Time) error {
	c.looked, c.next = true, time.Time{}
	for _, text := range []string{selectNextLive, selectNextBackfill} {
		var at int64
		switch err := t.QueryRow(ctx, text, c.s.portal, store.Micros(now)).Scan(&at); {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case c.next.IsZero() || store.Time(at).Before(c.next):
			c.next = store.Time(at)
		}
	}
	return nil
}

// committed starts the runs that a transaction has claimed. err is why it could claim
// none, though it was committed.
func (p *pool) committed(t *tx, err error) {
	if err != nil {
		p.q.options.Log.Error("cannot start due runs, trying again", slog.Any("error", err))
		p.failed()
	}
	wake := false
	for _, c := range p.claimed {
		s := c.s
		if c.done {
			s.number, s.uncertain = 0, false
		}
		if c.looked {
			s.known = true
			s.setNext(c.next)
		}
		if c.more {
			s.look(clock())
		}
		for _, r := range c.runs {
			s.begin(r.Priority)
			p.running.Add(1)
			if s.lease != nil {
				s.lease.Add(1)
			}
			go p.start(s, r)
		}
		wake = wake || c.looked || c.more
	}
	p.release(false)
	for portal, c := range t.changes {
		if s := p.shards.of(portal); s != nil && !c.due.IsZero() {
			wake = s.look(c.due) || wake
		}
	}
	if wake {
		p.q.touched.wake.Send()
	}
}

// failed notes that a transaction with claims has failed, perhaps after its commit.
func (p *pool) failed() {
	for _, c := range p.claimed {
		c.s.known, c.s.notBefore = false, clock().Add(claimRetry)
		c.s.setNext(c.s.notBefore)
		p.q.touched.wake.Send()
	}
	p.release(true)
}

// release ends the claims of a transaction.
func (p *pool) release(uncertain bool) {
	for _, c := range p.claimed {
		c.s.uncertain = c.s.uncertain || uncertain
		if c.s.lease != nil {
			c.s.lease.Leave()
		}
		p.running.Done()
	}
	p.claimed = nil
}
