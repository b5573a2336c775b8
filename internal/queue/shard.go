package queue

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sync"
	"time"
)

// priorities is how many there are.
const priorities = int(Backfill) + 1

// backfillWorkers bounds how many runs of a backfill one portal has under way.
// A run that has begun is not overtaken, so a live run waits for as many
// requests as these still want; and a hundred of them fill batches well enough.
const backfillWorkers = 100

// A shard is the part of the queue that one portal is.
//
// It counts the jobs that River was given. That bounds them, so that what
// becomes due later can still go first. And while some have not begun, the
// dispatcher keeps ringing: River (v0.49.0) looks for as many jobs as it has
// free workers, and does not look again for a worker that gets free meanwhile;
// it would idle until another job ends.
type shard struct {
	portal string
	queue  string // River's
	worker int    // Options.Workers

	lease *lease // nil where nobody else can work the portal

	// These belong to the dispatcher.
	next    time.Time // when to look at it; zero: when somebody says so
	checked check

	starting sync.Mutex
	started  bool // its River queue
	closed   bool

	mu          sync.Mutex
	jobs        [priorities]int // given to River and not ended
	running     map[int64]int   // of these, by run
	startedRuns int64           // how many ever have
}

// room is how many more jobs of a priority River may be given. Of live ones, as
// many as there are workers may wait beside as many under way; whatever River
// has of a backfill does not keep them back.
func (s *shard) room(p Priority) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := 2*s.worker - s.jobs[Live]
	if p == Backfill {
		room = min(room, s.worker, backfillWorkers) - s.jobs[Backfill]
	}
	return room
}

// given counts jobs, and reports whether there are any.
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
	s.running[run]++ // two jobs can summon to one run
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

// unbegun is how many jobs River has and has not begun.
func (s *shard) notStarted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[Live] + s.jobs[Backfill] - len(s.running)
}

// mayBegin tells whether runs of the shard may still begin here.
func (s *shard) mayStart() bool {
	return s.lease == nil || !s.lease.isLeaving() && s.lease.holds() == nil
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
func (s *shards) open(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.make(l.portal, l)
}

func (s *shards) make(portal string, l *lease) *shard {
	one := &shard{portal: portal, queue: portalQueue(portal), worker: s.workers, lease: l, running: map[int64]int{}}
	s.byName[portal], s.byQueue[one.queue] = one, one
	return one
}

// remove takes a shard out and returns it, nil when there is none.
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

// ofQueue returns the shard of a River queue that has jobs.
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

// due returns the shards to look at now, and the time until the next one is, at
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

// portalQueue is the River queue of a portal. River is particular about names.
func portalQueue(portal string) string {
	if len(portal) <= 40 && plainName.MatchString(portal) {
		return "portal-" + portal
	}
	sum := sha256.Sum256([]byte(portal))
	return "hashed-" + hex.EncodeToString(sum[:16])
}

var plainName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
