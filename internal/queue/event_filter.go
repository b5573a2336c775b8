package queue

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// EventFilter selects events. Zero fields select all.
type EventFilter struct {
	ID           int64
	Portal, Code string
	Portals      []string  // several portals, instead of Portal
	Rule, Entity string    // only events that started or joined a run of the rule, or for the entity
	NoRule       bool      // only events without a rule
	From, To     time.Time // only events received at From or later, and before To
	Before       int64     // only events with a smaller ID: the next page
	Limit        int       // 0 means 100
}

// FindEvents returns the events that f selects, newest first, including those without a
// rule.
func (q History) FindEvents(ctx context.Context, f EventFilter) ([]Event, error) {
	var all []string
	var args []any
	add := func(given bool, condition string, value any) {
		if given {
			args = append(args, value)
			all = append(all, fmt.Sprintf(condition, len(args)))
		}
	}
	add(f.ID != 0, "e.id = $%d", f.ID)
	add(f.Portal != "", "e.portal = $%d", f.Portal)
	if len(f.Portals) > 0 {
		var places []string
		for _, name := range f.Portals {
			args = append(args, name)
			places = append(places, fmt.Sprintf("$%d", len(args)))
		}
		all = append(all, "e.portal IN ("+strings.Join(places, ", ")+")")
	}
	add(f.Code != "", "e.code = $%d", f.Code)
	add(!f.From.IsZero(), "e.received_at >= $%d", micros(f.From))
	add(!f.To.IsZero(), "e.received_at < $%d", micros(f.To))
	const ofRun = "EXISTS (SELECT 1 FROM b24_run_event re JOIN b24_run r ON r.id = re.run_id WHERE re.event_id = e.id AND r."
	add(f.Rule != "", ofRun+"rule = $%d)", f.Rule)
	add(f.Entity != "", ofRun+"entity = $%d)", f.Entity)
	add(f.Before != 0, "e.id < $%d", f.Before)
	if f.NoRule {
		all = append(all, "e.routes = 0")
	}
	where := ""
	if len(all) > 0 {
		where = " WHERE " + strings.Join(all, " AND ")
	}
	args = append(args, cmp.Or(f.Limit, 100))
	return q.events(ctx, selectEvent+where+fmt.Sprintf(" ORDER BY e.id DESC LIMIT $%d", len(args)), args...)
}
