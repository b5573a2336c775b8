package ingest

import "sync"

// admission counts the events of each portal that are being stored. A portal that
// sends too many, or a store that hangs, must leave connections to other portals.
type admission struct {
	most int

	mu sync.Mutex
	n  map[string]int
}

// enter admits an event, unless its portal has too many. It returns how many of
// the portal are being stored.
func (a *admission) enter(portal string) (waiting int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == nil {
		a.n = map[string]int{}
	}
	if a.n[portal] >= a.most {
		return a.n[portal], false
	}
	a.n[portal]++
	return a.n[portal], true
}

func (a *admission) leave(portal string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n[portal]--; a.n[portal] == 0 {
		delete(a.n, portal)
	}
}
