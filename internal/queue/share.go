package queue

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"
)

// leaseRow is a row of b24_lease as it was last seen.
type leaseRow struct {
	owner            string
	token, heartbeat int64
	since            time.Time // when it was first seen like this
}

// beatSeen is a row of b24_worker as it was last seen.
type workerRow struct {
	heartbeat int64
	since     time.Time
	only      map[string]bool // the portals that it can work; nil for all
	wasAlive  bool            // its beat has changed before our eyes
}

func (w workerRow) can(portal string) bool { return w.only == nil || w.only[portal] }

// A view is what a worker knows of all: who lives and who holds what. Its parts
// have the living workers alone.
type view struct {
	me      string
	term    time.Duration
	portals []string // that I can work
	rows    map[string]leaseRow
	workers map[string]workerRow
	mine    map[string]bool // portals that I hold or am about to give back
}

// patience is how long a lease or a worker has to be silent before it counts as
// gone: longer than a term, since clocks run a little differently.
func (v view) goneAfter() time.Duration { return v.term + v.term/10 }

// free tells whether a portal can be taken: nobody has it, its owner has been
// silent for too long, or it is I who had it and has lost it.
func (v view) free(portal string) bool {
	row, ok := v.rows[portal]
	return !ok || row.owner == "" || row.owner == v.me || time.Since(row.since) > v.goneAfter()
}

// silenced are the workers that lived and do not any more, if it is up to me to
// tell of them: to the first of those that go on.
func (v view) silenced() (ids []string) {
	for id, w := range v.workers {
		gone := time.Since(w.since) > v.goneAfter()
		switch {
		case id == v.me:
		case !gone && id < v.me:
			return nil
		case gone && w.wasAlive:
			ids = append(ids, id)
		}
	}
	return ids
}

// parts divides a view by who can work what: processes with different portals
// share those that they have in common, and nobody counts on one that cannot.
func (v view) parts() []view {
	byWorkers := map[string]*view{}
	for _, portal := range v.portals {
		can := map[string]workerRow{}
		for id, w := range v.workers {
			if id == v.me || w.can(portal) && time.Since(w.since) <= v.goneAfter() {
				can[id] = w
			}
		}
		key := strings.Join(slices.Sorted(maps.Keys(can)), " ")
		part := byWorkers[key]
		if part == nil {
			part = &view{me: v.me, term: v.term, rows: v.rows, workers: can, mine: map[string]bool{}}
			byWorkers[key] = part
		}
		part.portals = append(part.portals, portal)
		if v.mine[portal] {
			part.mine[portal] = true
		}
	}
	var all []view
	for _, part := range byWorkers {
		all = append(all, *part)
	}
	return all
}

// target is how many portals I should have: a fair share. Those who have most
// have one more where it does not come out even, so that nothing moves without
// need.
func (v view) target() int {
	count := map[string]int{v.me: 0}
	for id := range v.workers {
		count[id] = 0
	}
	for _, portal := range v.portals {
		owner := v.rows[portal].owner
		if v.mine[portal] {
			owner = v.me
		}
		if _, lives := count[owner]; lives && (owner == v.me || !v.free(portal)) {
			count[owner]++
		}
	}
	ids := make([]string, 0, len(count))
	for id := range count {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	target := len(v.portals) / len(ids)
	if slices.Index(ids, v.me) < len(v.portals)%len(ids) {
		target++
	}
	return target
}

// wanted are the portals to take: as many free ones as are missing to my share.
// Workers begin at different ones, so that they seldom reach for the same.
func (v view) toTake() []string {
	room := v.target() - len(v.mine)
	if room <= 0 {
		return nil
	}
	var free []string
	for _, portal := range v.portals {
		if !v.mine[portal] && v.free(portal) {
			free = append(free, portal)
		}
	}
	slices.SortFunc(free, func(a, b string) int { return cmp.Compare(v.order(a), v.order(b)) })
	return free[:min(room, len(free))]
}

func (v view) order(portal string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(v.me + "\x00" + portal)) // never fails
	return h.Sum32()
}
