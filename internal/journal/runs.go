package journal

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Filter selects runs. A zero field selects all.
type Filter struct {
	ID                   int64
	Portal, Rule, Entity string
	Portals              []string  // only runs of these; nil means all
	Rules                []string  // only runs of these; nil means all
	Text                 string    // only runs with this text in the error or the entity
	States               []State   // Blocked selects waiting runs with that reason
	Did                  []Did     // only runs that did one of these
	Cause                string    // of the last failure
	Event                int64     // only runs that this event has joined
	From, To             time.Time // only runs whose first event was received at From or later, and before To
	Before               int64     // only runs with a smaller ID: the next page
	Limit                int       // 0 means 100
}

// FindRuns returns the runs that f selects, newest first.
func FindRuns(ctx context.Context, from store.Reader, f Filter) ([]Run, error) {
	w := f.where()
	return runs(ctx, from, SelectRuns+w.page("r.id", cmp.Or(f.Limit, 100)), w.args...)
}

func runs(ctx context.Context, from store.Reader, text string, args ...any) ([]Run, error) {
	return store.All(ctx, from, "read runs", ScanRun(time.Now()), text, args...)
}

func (f Filter) where() *where {
	w := &where{}
	w.add(f.Portal != "", "r.portal = %s", f.Portal)
	w.add(f.Rule != "", "r.rule = %s", f.Rule)
	w.add(f.Entity != "", "r.entity = %s", f.Entity)
	w.add(f.Cause != "", "r.cause = %s", f.Cause)
	// Without an entity, the runs are read by their numbers: an index of portals would sort all
	// runs of these portals.
	column := "r.portal"
	if f.Entity == "" && len(f.Portals) > 1 {
		column += " || ''"
	}
	w.oneOf(column, f.Portals)
	w.oneOf("r.rule", f.Rules)
	w.add(f.Text != "", `(LOWER(r.error) LIKE %[1]s ESCAPE '\' OR LOWER(r.entity) LIKE %[1]s ESCAPE '\')`, likeText(f.Text))
	w.add(f.ID != 0, "r.id = %s", f.ID)
	w.add(f.Before != 0, "r.id < %s", f.Before)
	w.add(f.Event != 0, "r.id IN (SELECT run_id FROM b24_run_event WHERE event_id = %s)", f.Event)
	w.add(!f.From.IsZero(), "r.first_at >= %s", store.Micros(f.From))
	w.add(!f.To.IsZero(), "r.first_at < %s", store.Micros(f.To))
	if len(f.Did) > 0 {
		did := make([]string, len(f.Did))
		for i, d := range f.Did {
			did[i] = d.condition(w.place)
		}
		w.conditions = append(w.conditions, "("+strings.Join(did, " OR ")+")")
	}
	if len(f.States) > 0 {
		w.conditions = append(w.conditions, inStates(w, f.States))
	}
	return w
}

// inStates is a condition that a run has one of the states, also of those that are not stored.
func inStates(w *where, states []State) string {
	places := make([]string, len(states))
	for i, s := range states {
		places[i] = w.place(string(s))
	}
	in := "r.state IN (" + strings.Join(places, ", ") + ")"
	asleep := func() string { return strings.ReplaceAll(WhereAsleep, "$1", w.place(store.Micros(time.Now()))) }
	if slices.Contains(states, Asleep) {
		in = "(" + in + " OR " + asleep() + ")"
	} else if slices.Contains(states, Waiting) {
		in = "(" + in + " AND NOT " + asleep() + ")"
	}
	if slices.Contains(states, Blocked) {
		in = "(" + in + " OR " + waitsForAnother + ")"
	}
	return in
}
