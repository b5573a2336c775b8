package run

import (
	"context"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// callHost implements engine.Host for the calls of one step.
type callHost struct {
	x          *execution
	step       *engine.Step
	trace      *history.StepTrace
	prefetched func(context.Context) (any, error)
	mark       *engine.Mark // of the step; nil before it is needed
	// when is a word for the value of once or the time of at for which the step runs, "" without.
	when string
}

// call describes the step for its action. row is noRow without for_each.
func (x *execution) call(s *engine.Step, row int, h *callHost) *engine.Call {
	key := x.rule.ID + "/" + s.Label + "/" + x.run.Entity.String()
	switch {
	case s.PerRow && h.when != "": // the rows may come in another order
		key += "/" + h.when
	case row != noRow:
		key += "/" + strconv.Itoa(row)
	case h.when != "": // a later attempt may find another value, whose effect is another one
		key += "/" + h.when
	}
	return engine.NewCall(engine.Call{
		Portal: x.portal(h.trace), PortalName: x.run.Portal, Rule: x.rule.ID, Owner: x.rule.Owner, Step: s.Label, StepKey: s.Key,
		Entity: x.run.Entity, Key: key, Pos: s.Pos, Memory: x.run.Memory, Records: x.run.Records, Adopt: x.run.Adopt, Zone: x.run.Zone,
		Log:   x.run.Log.With("portal", x.run.Portal, "rule", x.rule.ID, "step", s.Label, "entity", x.run.Entity.String()),
		RunID: x.run.ID, Removed: x.deleted,
	}, h)
}

// Note adds a line to the history of the step.
func (h *callHost) Note(text string) { h.trace.Notes = append(h.trace.Notes, text) }

// MarkDeleted marks the fields of a record that the portal no longer has.
func (h *callHost) MarkDeleted(place string, record map[string]any, names []string) {
	h.x.run.Fields.markDeleted(place, record, names)
}

// Made notes what the step has done with a record. Of records that are as they should be, only
// runs that repair note it: those of a sync, and those that were started before.
func (h *callHost) Made(place string, id int, what engine.MadeWhat) {
	if what == engine.MadeKept && !h.x.run.Repeated && !h.x.run.Quiet {
		return
	}
	if h.mark == nil {
		m, ok := h.x.rule.MarkOf(h.step, h.x.run.Inputs)
		if !ok {
			m = engine.Mark{Rule: h.x.rule.ID, Step: h.step.Key, Kind: engine.MarkFields, Version: h.x.rule.Set.Version, Pos: h.step.Pos}
		}
		h.mark = &m
	}
	m := *h.mark
	m.Place = place
	h.x.trace.Made = append(h.x.trace.Made, engine.Made{Mark: m, ID: id, What: what})
}

// Start notes the runs that follow.
func (h *callHost) Start(rule string, ids []int) error {
	var r *engine.Rule
	for _, id := range h.x.rule.Set.Started(rule) {
		if r == nil && h.x.run.Rule != nil {
			r = h.x.run.Rule(id)
		}
	}
	if r == nil {
		return engine.ParkError("rule %q is not among the rules of portal %s, so nothing can start it", rule, h.x.run.Portal)
	}
	rule = r.ID
	about, ok := r.Subject()
	if !ok {
		return engine.ParkError("rule %q does not say what its runs are for: give it about", rule)
	}
	if about.Portal {
		ids = []int{0}
	}
	var names []string
	for _, id := range ids {
		e := about.EntityWithID(r, id)
		h.x.remembered.start(rule, e)
		names = append(names, e.String())
	}
	if len(names) > 0 {
		verb := "starts " + rule + " for "
		if h.x.run.Look {
			verb = "remembers for " + rule + ": "
		}
		h.Note(verb + strings.Join(names, ", "))
	}
	return nil
}

// Delete counts n deletions. It refuses those above the limit of the rule.
func (h *callHost) Delete(n int) error {
	limit := h.x.rule.Limits.Deletes
	if limit > 0 && h.x.removed+n > limit {
		return engine.ParkErrorOf("limits.deletes", "the run would delete %d records, but limits.deletes of rule %s is %d", h.x.removed+n, h.x.rule.ID, limit)
	}
	h.x.removed += n
	return nil
}

// Prefetched waits for the result of an early Prefetch, or calls Prefetch now.
func (h *callHost) Prefetched(ctx context.Context) (any, error) { return h.prefetched(ctx) }
