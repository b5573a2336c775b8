package lease

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// leaseRow is a row of b24_lease when it was last read.
type leaseRow struct {
	owner            string
	token, heartbeat int64
	since            time.Time // when it was first read with this content
}

// lastSign returns when the owner of a lease was last known to live: when the row or its
// heartbeat changed. An owner of an older version that ends has removed its row of workers.
func (r leaseRow) lastSign(owners map[string]workerRow) time.Time {
	if w := owners[r.owner]; w.since.After(r.since) {
		return w.since
	}
	return r.since
}

// workerRow is a row of b24_worker when it was last read.
type workerRow struct {
	info      string // for people
	logged    bool   // as a process of an older version
	heartbeat int64
	since     time.Time
	portals   string          // those that it can work, as JSON; "" for all
	only      map[string]bool // the same; nil for all
	wasAlive  bool            // this process has seen its heartbeat change
}

func (w workerRow) can(portal string) bool { return w.only == nil || w.only[portal] }

// A view is what a worker knows about all workers and leases. Its parts contain
// only the workers that are alive.
type view struct {
	me      string
	now     time.Time
	term    time.Duration
	portals []string // that this worker can work
	rows    map[string]leaseRow
	workers map[string]workerRow
	owners  map[string]workerRow // workers, and those that are not alive or cannot work these portals
	mine    map[string]bool      // portals that this worker holds or is giving back
}

// goneAfter is how long a lease or a worker has no heartbeat before it counts as
// gone: longer than a term, because clocks differ slightly.
func (v view) goneAfter() time.Duration { return v.term + v.term/10 }

// free reports whether a portal can be taken: it has no owner, its owner sends no
// heartbeat any more, or this worker has lost it.
func (v view) free(portal string) bool {
	row, ok := v.rows[portal]
	return !ok || row.owner == "" || row.owner == v.me || v.now.Sub(row.lastSign(v.owners)) > v.goneAfter()
}

// silenced returns the workers that were alive and are gone, if this worker is the
// one to report them: the first of those that are still alive.
func (v view) silenced() (ids []string) {
	for id, w := range v.workers {
		gone := v.now.Sub(w.since) > v.goneAfter()
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

// parts divides a view by the workers that can work a portal: workers with
// different portals share those that they have in common.
func (v view) parts() []view {
	var live []string
	for id, w := range v.workers {
		if id == v.me || v.now.Sub(w.since) <= v.goneAfter() {
			live = append(live, id)
		}
	}
	byWorkers := map[string]*view{}
	key := make([]byte, len(live)+1)
	for _, portal := range v.portals {
		for i, id := range live {
			key[i] = 0
			if id == v.me || v.workers[id].can(portal) {
				key[i] = 1
			}
		}
		key[len(live)] = 0
		if portal == "" { // no portal, so it does not count for the share
			key[len(live)] = 1
		}
		part := byWorkers[string(key)]
		if part == nil {
			part = &view{me: v.me, now: v.now, term: v.term, rows: v.rows, workers: map[string]workerRow{}, owners: v.owners, mine: map[string]bool{}}
			for i, id := range live {
				if key[i] == 1 {
					part.workers[id] = v.workers[id]
				}
			}
			byWorkers[string(key)] = part
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

// target returns how many portals this worker should have: a fair share. The
// remainder of the division goes to the workers that have most, so that no portal
// moves without need.
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

// toTake returns the portals to take: as many free ones as this worker's share
// lacks. Each worker starts at a different one, so that two seldom try the same.
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
