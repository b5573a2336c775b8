package service

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// syncJobs feeds the queue with the runs of syncs and catch-ups.
type syncJobs struct {
	queue   *queue.Queue
	rules   *fleet.Rules
	portals *portals
	// prepare and concerned are those of a catchup.Feeder.
	prepare   func(ctx context.Context, j catchup.Job) (catchup.Job, error)
	concerned func(j catchup.Job) []string
	log       *slog.Logger
}

// kind is how syncs and catch-ups are executed.
func (s *syncJobs) kind() jobs.Kind {
	return jobs.Kind{Work: s.work, May: s.may, Retry: catchup.Retry}
}

// may reports whether the job of a portal and rule may start: the portal answers, and no
// rule file with errors keeps the rule from running.
func (s *syncJobs) may(portal, rule string) bool {
	p := s.portals.get(portal)
	return p != nil && p.permit() == nil && !p.hold.Held() && (rule == "" || len(s.missing(catchup.Job{Portal: portal, Rule: rule})) == 0)
}

// missing returns the rules that a job is about and that do not run now: rule sets, or the
// rule of the job.
func (s *syncJobs) missing(j catchup.Job) []string {
	gen := s.rules.Current()
	sets := gen.Missing(j.Portal)
	if len(sets) == 0 {
		return nil
	}
	set, isSet := queue.SetOf(j.Rule)
	_, _, runs := gen.Rule(j.Rule, j.Portal)
	switch {
	case slices.Contains(sets, fleet.Everything): // the portal has just been removed
		return []string{j.Rule}
	case isSet && !slices.Contains(sets, set), runs:
		return nil
	case j.Rule != "":
		return []string{j.Rule}
	}
	var all []string
	for _, set := range sets {
		all = append(all, queue.AllOf(set))
	}
	return all
}

func (s *syncJobs) work(ctx context.Context, j *jobs.Claimed) error {
	p := s.portals.get(j.Portal)
	if p == nil {
		return fmt.Errorf("portal %s is not in the configuration", j.Portal)
	}
	f := &catchup.Feeder{
		Queue: s.queue, Windows: catchup.NewWindows(s.queue.Database()), Portal: p.Later(), PortalDown: s.portals.down(p),
		Routes: s.routes, Prepare: s.prepare, Concerned: s.concerned, Missing: s.missing, Log: s.log,
	}
	return f.Work(ctx, j)
}

// routes returns the runs of a job for an entity: the runs that an event of the
// entity would start.
func (s *syncJobs) routes(j catchup.Job, typeID int, id string) []queue.Route {
	var out []queue.Route
	for _, r := range routesOf(s.rules.Current(), j.Portal, typeID, id) {
		if !isAboutRule(j.Rule, r.Rule) || j.Downtime != nil && !canCatchUp(r.Rule) {
			continue
		}
		out = append(out, queue.Route{Rule: r.Rule.ID, Entity: r.Entity.String()})
	}
	if r, _, ok := s.rules.Current().Rule(j.Rule, j.Portal); ok && len(out) == 0 && isForType(r, typeID, j.Downtime != nil) {
		out = append(out, queue.Route{Rule: r.ID, Entity: engine.EntityOfType(typeID, id).String()})
	}
	return out
}

// isForType reports whether a rule is about entities of a type without an event of them.
// What a robot has not called for is not caught up.
func isForType(r *engine.Rule, typeID int, catchUp bool) bool {
	if r.AboutKind != nil {
		return r.AboutKind.TypeID == typeID
	}
	return !catchUp && slices.ContainsFunc(r.Robots, func(b engine.Robot) bool { return slices.Contains(b.Types, typeID) })
}

// canCatchUp reports whether a rule can run without an event, and writes nothing for
// an entity that has not changed.
func canCatchUp(r *engine.Rule) bool { return len(describe.Repeats(r)) == 0 && !r.Derived() }

// routesOf returns the rules that match events of an entity, each once.
func routesOf(g *fleet.Generation, portal string, typeID int, id string) []engine.Route {
	var out []engine.Route
	seen := map[string]bool{}
	e := EntityEvent(typeID, id)
	for _, code := range codesOf(typeID) {
		e.Code = code
		for _, r := range g.Route(portal, e) {
			if !seen[r.Rule.ID] {
				seen[r.Rule.ID] = true
				out = append(out, r)
			}
		}
	}
	return out
}

// EntityEvent returns an event about an entity for a run without an event of the
// portal. It has no code.
func EntityEvent(typeID int, id string) engine.Event {
	fields := map[string]any{"ID": id}
	if KindOfType(typeID) == "item" {
		fields["ENTITY_TYPE_ID"] = strconv.Itoa(typeID)
	}
	return engine.Event{Data: map[string]any{"FIELDS": fields}}
}

// KindOfType returns the kind that events name for entities of a type.
func KindOfType(typeID int) string {
	switch typeID {
	case schemas.TypeLead, schemas.TypeDeal, schemas.TypeContact, schemas.TypeCompany, schemas.TypeQuote:
		return schemas.OwnerByType(typeID).Name
	}
	return "item"
}

// codesOf are the codes of a type's events, those of changes first.
func codesOf(typeID int) []string {
	kind := KindOfType(typeID)
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

// ScopeOf returns the types of entities that a rule is about. every says that it
// subscribes to events of all smart processes; foreign are its events about
// entities outside the CRM.
func ScopeOf(r *engine.Rule) (types []int, every bool, foreign []string) {
	switch {
	case r.Hook != nil:
		return nil, false, []string{"the hook " + r.Hook.Name}
	case r.AboutKind != nil && r.AboutKind.Portal:
		return nil, false, []string{"about: portal"}
	case r.AboutKind != nil:
		return []int{r.AboutKind.TypeID}, false, nil
	}
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
	for _, b := range r.Robots {
		types = append(types, b.Types...)
	}
	slices.Sort(types)
	return slices.Compact(types), every, foreign
}
