package queue

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
)

const (
	// claimRetry is the wait after a claim that failed, as on a full disk.
	claimRetry = time.Second

	// lookEvery is how often the pool looks for due runs without being woken.
	lookEvery = time.Minute

	// lookBatch is at how many portals one transaction looks.
	lookBatch = 50
)

// A pool claims due runs and executes them, each in its own goroutine.
//
// It claims at the end of each transaction that has changed runs (see claim), and
// whenever the next run is due: loop sleeps until then. So an event and the claim of
// its run, or the end of a run and the next claim, share one commit.
type pool struct {
	q      *Queue
	do     func(ctx context.Context, r *Run) error
	ctx    context.Context // of the runs; it ends after the grace
	shards shards

	lookedAt time.Time // at all portals; only loop uses it

	mu      sync.Mutex
	stopped bool // nothing is claimed any more
	running sync.WaitGroup

	claimed []*claims // of the running transaction; only the committer uses it
}

// stop ends the claims. running counts only down then.
func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}

// enter counts something that the pool has to wait for, unless it has stopped.
func (p *pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.running.Add(1)
	return true
}

// loop looks at the portals that other processes have changed, and at those with a
// run that becomes due.
func (p *pool) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	p.q.touched.addAll()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.q.touched.wake:
		case <-timer.C:
		}
		if clock().Sub(p.lookedAt) >= lookEvery {
			p.q.touched.addAllQuietly()
		}
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.q.options.Log.ErrorContext(ctx, "cannot start due runs, trying again", slog.Any("error", err))
			p.q.touched.addAllQuietly()
			timer.Reset(claimRetry)
			continue
		}
		timer.Reset(p.shards.wait(p.lookedAt.Add(lookEvery).Sub(clock())))
	}
}

// look lets the end of an empty transaction claim what is due.
func (p *pool) look(ctx context.Context) error {
	portals, all := p.q.touched.take()
	if all {
		p.lookedAt = clock()
		waiting, err := journal.WaitingPortals(ctx, p.q.db.Read)
		if err != nil {
			return err
		}
		for portal := range waiting {
			portals[portal] = true
		}
	}
	var due []string
	for portal := range portals {
		if s := p.shards.of(portal); s != nil {
			due = append(due, portal)
		}
	}
	due = append(due, p.shards.due()...)
	slices.Sort(due)
	for some := range slices.Chunk(slices.Compact(due), lookBatch) {
		err := p.q.writes.do(ctx, func(_ context.Context, t *tx) error {
			for _, portal := range some {
				t.change(portal).look = true
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("claim due runs: %w", err)
		}
	}
	return nil
}

// start executes a claimed run.
func (p *pool) start(s *shard, r *Run) {
	defer p.running.Done()
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	if s.lease != nil {
		defer s.lease.Leave()
		defer context.AfterFunc(s.lease.Context(), func() { cancel(context.Cause(s.lease.Context())) })()
	}
	err := context.Cause(ctx) // the lease may have been lost before the claim was stored
	if err == nil {
		err = p.call(ctx, r)
	}
	s.end(r.Priority) // the transaction that stores the result can claim the next run
	p.q.finish(ctx, r, err)
}

// call prevents a panic from ending the process: it is a failure of one run.
func (p *pool) call(ctx context.Context, r *Run) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return p.do(ctx, r)
}

// priorities is how many there are.
const priorities = int(journal.Backfill) + 1

// A shard is the part of the pool for one portal.
type shard struct {
	portal  string
	workers int          // Options.Workers, for live runs and again for those of backfills
	lease   *lease.Lease // nil where no other process can work the portal

	// Only the committer uses these: the number of the claims whose commit is not
	// certain, 0 without any.
	number    int64
	uncertain bool
	known     bool      // next is known, and not only an upper bound
	notBefore time.Time // after a claim that failed: no claim before

	mu      sync.Mutex
	running [priorities]int
	next    time.Time // when to look at it; zero: when it is touched
}

// room returns how many more runs of a priority may start. Runs of a backfill do
// not take the room of live ones, and start none while live ones fill theirs. A live run of
// an entity cannot overtake one of a backfill, so it waits for that one's requests.
func (s *shard) room(p journal.Priority) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.workers - s.running[journal.Live]
	if p == journal.Backfill {
		room -= s.running[journal.Backfill]
	}
	return max(room, 0)
}

func (s *shard) begin(p journal.Priority) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[p]++
}

func (s *shard) end(p journal.Priority) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[p]--
}

// nextAt returns when to look at the shard. setNext sets it; look does so unless an
// earlier time is set, and reports whether it has set it.
func (s *shard) nextAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

func (s *shard) setNext(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = at
}

func (s *shard) look(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.next.IsZero() && !at.Before(s.next) {
		return false
	}
	s.next = at
	return true
}

// shards are the portals of a worker: any, or those that it has leases for.
type shards struct {
	any     bool
	workers int

	mu     sync.Mutex
	byName map[string]*shard
}

// of returns a portal's shard, or nil when it is not worked here.
func (s *shards) of(portal string) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byName[portal]
	if !ok && s.any {
		one = &shard{portal: portal, workers: s.workers}
		s.byName[portal] = one
	}
	return one
}

// open adds the shard that a lease is for.
func (s *shards) open(l *lease.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName[l.Portal()] = &shard{portal: l.Portal(), workers: s.workers, lease: l}
}

func (s *shards) remove(portal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, portal)
}

// due returns the portals to look at now.
func (s *shards) due() (portals []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := clock()
	for portal, one := range s.byName {
		if at := one.nextAt(); !at.IsZero() && !at.After(now) {
			portals = append(portals, portal)
		}
	}
	return portals
}

// wait returns the time until the next look, at most limit.
func (s *shards) wait(limit time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.byName {
		if at := one.nextAt(); !at.IsZero() {
			limit = min(limit, max(at.Sub(clock()), 0))
		}
	}
	return limit
}
