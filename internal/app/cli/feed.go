package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// feeder feeds the jobs of a portal: syncs, and what was missed.
func (a *app) feeder(p *portal) *catchup.Feeder {
	return &catchup.Feeder{
		Queue: a.queue, Name: p.name, Portal: p.later(), Log: a.log,
		May:    func() bool { return a.mayAct(p.name) == nil },
		Routes: a.jobRoutes, Prepare: a.prepare,
	}
}

// jobRoutes asks for the runs of an entity that a job is for: those that an
// event of the entity would have asked for.
func (a *app) jobRoutes(j catchup.Job, typeID int, id string) []queue.Route {
	var out []queue.Route
	for _, r := range a.rules.current.Load().about(j.Portal, typeID, id) {
		if j.Rule != "" && r.Rule.ID != j.Rule || j.Rule == "" && !settles(r.Rule) {
			continue
		}
		out = append(out, queue.Route{Rule: r.Rule.ID, Entity: r.Entity.String()})
	}
	return out
}

// settles reports whether a rule does nothing for an entity that has not
// changed, and can be run without an event.
func settles(r *engine.Rule) bool { return len(describe.Repeats(r)) == 0 && !r.Derived() }

// about returns the rules that hear events of an entity, each once.
func (g *generation) about(portal string, typeID int, id string) []engine.Route {
	var out []engine.Route
	seen := map[string]bool{}
	e := entityEvent(typeID, id)
	for _, code := range codesOf(typeID) {
		e.Code = code
		for _, r := range g.route(portal, e) {
			if !seen[r.Rule.ID] {
				seen[r.Rule.ID] = true
				out = append(out, r)
			}
		}
	}
	return out
}

// entityEvent is an event that tells of an entity and came from nobody.
func entityEvent(typeID int, id string) engine.Event {
	fields := map[string]any{"ID": id}
	if kindOfType(typeID) == "item" {
		fields["ENTITY_TYPE_ID"] = strconv.Itoa(typeID)
	}
	return engine.Event{Data: map[string]any{"FIELDS": fields}}
}

// kindOfType is what events call entities of a type.
func kindOfType(typeID int) string {
	switch typeID {
	case schemas.TypeLead, schemas.TypeDeal, schemas.TypeContact, schemas.TypeCompany, schemas.TypeQuote:
		return schemas.OwnerByType(typeID).Name
	}
	return "item"
}

// codesOf are the codes of a type's events, those of changes first.
func codesOf(typeID int) []string {
	kind := kindOfType(typeID)
	var codes []string
	for _, e := range schemas.Events() {
		if e.Entity == kind {
			codes = append(codes, e.Code)
		}
	}
	rank := func(code string) int {
		switch {
		case strings.HasSuffix(code, "UPDATE"):
			return 0
		case strings.HasSuffix(code, "DELETE"):
			return 2
		}
		return 1
	}
	slices.SortStableFunc(codes, func(a, b string) int { return rank(a) - rank(b) })
	return codes
}

// scopeOf are the types of entities that a rule is about. every says that it
// hears of all smart processes; foreign are events that are about no entity of
// the CRM.
func scopeOf(r *engine.Rule) (types []int, every bool, foreign []string) {
	for _, t := range r.Triggers {
		switch {
		case t.Entity == "":
			foreign = append(foreign, t.Code)
		case t.Entity != "item":
			if o, ok := schemas.LookupOwner(t.Entity); ok && !slices.Contains(types, o.ID) {
				types = append(types, o.ID)
			}
		case t.EntityTypeID == 0:
			every = true
		case !slices.Contains(types, t.EntityTypeID):
			types = append(types, t.EntityTypeID)
		}
	}
	return types, every, foreign
}
