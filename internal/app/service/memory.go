package service

import (
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/queue"
)

// runMemory is the memory of a run of the queue.
type runMemory struct {
	*queue.Run
	portal *Portal
	rule   func(id string) *engine.Rule // nil if the portal has no such rule
}

// Follow implements engine.Memory. A rule that is missing now, such as one in a broken
// file, gets its run too: it waits until the rule is back.
func (m runMemory) Follow(starts []engine.Start) {
	for _, s := range starts {
		route := queue.Route{Rule: s.Rule, Entity: s.Entity.String(), Debounce: time.Second}
		if r := m.rule(s.Rule); r != nil {
			route.Debounce, route.Ceiling = m.portal.debounce(r)
		}
		m.Start(route)
	}
}

// Wake implements engine.Memory.
func (m runMemory) Wake(at time.Time, gone bool) { m.Sleep(at, gone) }
