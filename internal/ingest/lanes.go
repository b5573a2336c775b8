package ingest

import "sync"

// lanes count the events of each portal that wait for the store. A portal in a
// storm, or a store that hangs, must leave connections to the others.
type lanes struct {
	most int

	mu sync.Mutex
	n  map[string]int
}

// enter finds an event a place. It returns how many of the portal wait now.
func (l *lanes) enter(portal string) (waiting int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[string]int{}
	}
	if l.n[portal] >= l.most {
		return l.n[portal], false
	}
	l.n[portal]++
	return l.n[portal], true
}

func (l *lanes) leave(portal string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n[portal]--; l.n[portal] == 0 {
		delete(l.n, portal)
	}
}
