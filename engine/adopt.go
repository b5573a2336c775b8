package engine

import "sync"

// Adoption collects what the steps of a run would take over. With a Portal they do so.
type Adoption struct {
	// Portal gets the writes of the steps that take over records. Nil writes nothing.
	Portal Portal

	mu  sync.Mutex
	all []Adopted
}

// Adopted are the records of a place that a step of a run would take over, or has.
type Adopted struct {
	Place string
	// Pairs are records that exactly one row would take over, and Written how many of them have
	// been. Left are records that no row would.
	Pairs, Left []int
	Written     int
	// Unclear counts rows that fit several records, or share one with another row. Without
	// counts rows that fit none.
	Unclear, Without int
}

// Add notes what a step has found.
func (a *Adoption) Add(found Adopted) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, found)
}

// All returns what the steps have found.
func (a *Adoption) All() []Adopted {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// Adopting returns the call with which a step takes over records. Without a portal in Adopt its
// writes are those of a dry run.
func (c *Call) Adopting() *Call {
	out := *c
	if c.Adopt.Portal != nil {
		out.Portal = c.Adopt.Portal
	}
	return &out
}
