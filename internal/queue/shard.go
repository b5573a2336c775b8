package queue

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/lease"
)

// priorities is how many there are.
const priorities = int(Backfill) + 1

// backfillWorkers bounds how many runs of a backfill one portal executes at the
// same time. A live run cannot overtake them, so it waits for their requests. A
// hundred runs fill batches well enough.
const backfillWorkers = 100

// A shard is the part of the queue for one portal.
//
// It counts the jobs that River has, to bound them, so that a later live run can
// still overtake. While some jobs have not started, the dispatcher keeps notifying
// River: River (v0.49.0) fetches as many jobs as it has free workers, and does not
// fetch again for a worker that becomes free in the meantime. That worker would be
// idle until another job ends.
type shard struct {
	portal string
	queue  string // River's
	worker int    // Options.Workers

	lease *lease.Lease // nil where no other process can work the portal

	// Only the dispatcher uses these.
	next    time.Time // when to look at it; zero: when it is touched
	checked check

	starting sync.Mutex
	started  bool // its River queue
	closed   bool

	mu          sync.Mutex
	jobs        [priorities]int // that River has and that have not ended
	running     map[int64]int   // jobs that have started and not ended, by run
	startedRuns int64           // how many have started since the shard exists
}

// room returns how many more jobs of a priority River may get. As many live ones as
// there are workers may wait while as many are running. Jobs of a backfill do not
// take the room of live ones.
func (s *shard) room(p Priority) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := 2*s.worker - s.jobs[Live]
	if p == Backfill {
		room = min(room, s.worker, backfillWorkers) - s.jobs[Backfill]
	}
	return room
}

// given counts new jobs, and reports whether there are any.
func (s *shard) given(jobs [priorities]int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, n := range jobs {
		s.jobs[p] += n
	}
	return jobs != [priorities]int{}
}

func (s *shard) start(run int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[run]++ // two jobs can name the same run
	s.startedRuns++
}

func (s *shard) end(run int64, p Priority) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[run]--; s.running[run] == 0 {
		delete(s.running, run)
	}
	s.jobs[p] = max(0, s.jobs[p]-1)
}

// notStarted returns how many jobs River has that have not started.
func (s *shard) notStarted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[Live] + s.jobs[Backfill] - len(s.running)
}

// mayStart reports whether runs of the shard may still start here.
func (s *shard) mayStart() bool {
	return s.lease == nil || !s.lease.Leaving() && s.lease.Holds() == nil
}

// shards are the portals of a worker: any, or those that it has leases for.
type shards struct {
	any     bool
	workers int
	mu      sync.Mutex
	byName  map[string]*shard // by portal
	byQueue map[string]*shard
}

func newShards(everything bool, workers int) shards {
	return shards{any: everything, workers: workers, byName: map[string]*shard{}, byQueue: map[string]*shard{}}
}

// of returns a portal's shard, or nil when it is not worked here.
func (s *shards) of(portal string) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byName[portal]
	if !ok && s.any {
		return s.make(portal, nil)
	}
	return one
}

// open adds the shard that a lease is for.
func (s *shards) open(l *lease.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.make(l.Portal(), l)
}

func (s *shards) make(portal string, l *lease.Lease) *shard {
	one := &shard{portal: portal, queue: portalQueue(portal), worker: s.workers, lease: l, running: map[int64]int{}}
	s.byName[portal], s.byQueue[one.queue] = one, one
	return one
}

// remove removes a shard and returns it, nil without one.
func (s *shards) remove(portal string) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byName[portal]
	if one != nil {
		delete(s.byName, portal)
		delete(s.byQueue, one.queue)
	}
	return one
}

// ofQueue returns the shard of a River queue.
func (s *shards) ofQueue(queue string) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byQueue[queue]
}

func (s *shards) all() []*shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*shard, 0, len(s.byName))
	for _, one := range s.byName {
		all = append(all, one)
	}
	return all
}

// due returns the shards to look at now, and the time until the next one is due, at
// most limit.
func (s *shards) due(limit time.Duration) (due []*shard, wait time.Duration) {
	now, wait := time.Now(), limit
	for _, one := range s.all() {
		switch {
		case one.next.IsZero():
		case !one.next.After(now):
			due = append(due, one)
		default:
			wait = min(wait, one.next.Sub(now))
		}
	}
	return due, wait
}

// portalQueue returns the name of a portal's River queue. River accepts only some
// names.
func portalQueue(portal string) string {
	if len(portal) <= 40 && plainName.MatchString(portal) {
		return "portal-" + portal
	}
	sum := sha256.Sum256([]byte(portal))
	return "hashed-" + hex.EncodeToString(sum[:16])
}

var plainName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
