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
	Rule, Entity string    // only events that started or joined a run of the rule, or for the entity
	Portals      []string  // only events of these; nil means all
	NoRule       bool      // only events without a rule
	AnyRule      bool      // only events that met a rule
	From, To     time.Time // only events received at From or later, and before To
	Before       int64     // only events with a smaller ID: the next page
	Limit        int       // 0 means 100
}

// FindEvents returns the events that f selects, newest first, including those without a
// rule.
func (q History) FindEvents(ctx context.Context, f EventFilter) ([]Event, error) {
	where, args := f.conditions()
	args = append(args, cmp.Or(f.Limit, 100))
	return q.events(ctx, selectEvent+where+fmt.Sprintf(" ORDER BY e.id DESC LIMIT $%d", len(args)), args...)
}

func (f EventFilter) conditions() (where string, args []any) {
	var all []string
	place := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	add := func(given bool, condition string, value any) {
		if given {
			all = append(all, fmt.Sprintf(condition, place(value)))
		}
	}
	add(f.ID != 0, "e.id = %s", f.ID)
	add(f.Portal != "", "e.portal = %s", f.Portal)
	add(f.Code != "", "e.code = %s", f.Code)
	add(!f.From.IsZero(), "e.received_at >= %s", micros(f.From))
	add(!f.To.IsZero(), "e.received_at < %s", micros(f.To))
	const ofRun = "EXISTS (SELECT 1 FROM b24_run_event re JOIN b24_run r ON r.id = re.run_id WHERE re.event_id = e.id AND r."
	add(f.Rule != "", ofRun+"rule = %s)", f.Rule)
	add(f.Entity != "", ofRun+"entity = %s)", f.Entity)
	add(f.Before != 0, "e.id < %s", f.Before)
	if f.Portals != nil {
		column := "e.portal"
		if len(f.Portals) > 1 { // as for runs
			column += " || ''"
		}
		all = append(all, oneOf(column, f.Portals, place))
	}
	if f.NoRule {
		all = append(all, "e.routes = 0")
	}
	if f.AnyRule {
		all = append(all, "e.routes > 0")
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), args
}
