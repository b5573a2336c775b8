package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

// Target is one rule to run for an entity.
type Target struct {
	Rule   *engine.Rule
	Inputs map[string]any
	Entity engine.Entity
	Event  engine.Event
}

// TargetsOf returns the rules of a portal that match events of an entity. If rule is
// not "", it returns only the rule with this id, and fails if the portal does not have
// it or if it does not match.
func TargetsOf(gen *fleet.Generation, portal, rule string, entity engine.Entity, deleted bool) ([]Target, error) {
	var out []Target
	for r, inputs := range gen.Rules(portal) {
		if rule != "" && rule != r.ID {
			continue
		}
		code, ok := matchingCode(r, entity, deleted)
		if !ok && rule == "" {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("rule %s has no event about %s, only %s", r.ID, entity, eventList(r))
		}
		data := map[string]any{"ID": entity.ID}
		if entity.Kind == "item" {
			data["ENTITY_TYPE_ID"] = fmt.Sprint(entity.TypeID)
		}
		event := engine.Event{Code: code, Data: map[string]any{"FIELDS": data}}
		if code == engine.CodeRobot {
			event = engine.RobotEvent(r.Robots[0].Code, entity.TypeID, entity.ID, nil)
		}
		event.Time = time.Now().Truncate(time.Second)
		out = append(out, Target{Rule: r, Inputs: inputs, Entity: entity, Event: event})
	}
	if len(out) == 0 && rule != "" {
		return nil, gen.CheckRule(rule, portal)
	}
	return out, nil
}

// StartOf returns the target of a rule that another rule starts for an entity.
func StartOf(r *engine.Rule, inputs map[string]any, entity engine.Entity) Target {
	return Target{Rule: r, Inputs: inputs, Entity: entity, Event: engine.Event{Code: journal.CodeStart, Time: time.Now().Truncate(time.Second)}}
}

// matchingCode reports whether a rule matches events of an entity, and returns the
// code of such an event.
func matchingCode(r *engine.Rule, e engine.Entity, deleted bool) (code string, ok bool) {
	if r.Hook != nil {
		return engine.CodeHook, !deleted && e.Kind == engine.KindHook && strings.HasPrefix(e.ID, r.Hook.Name+":")
	}
	if a := r.AboutKind; a != nil && len(r.Triggers)+len(r.Robots) == 0 {
		return journal.CodeStart, !deleted && (a.Portal && e.Kind == engine.KindPortal && e.ID == r.ID || !a.Portal && e.TypeID == a.TypeID)
	}
	for _, t := range r.Triggers {
		if !isAbout(t, e) {
			continue
		}
		if code == "" || t.Op == "update" && !deleted || t.Op == "delete" && deleted {
			code = t.Code
		}
	}
	if code == "" && !deleted && slices.ContainsFunc(r.Robots, func(b engine.Robot) bool { return slices.Contains(b.Types, e.TypeID) }) {
		code = engine.CodeRobot
	}
	return code, code != ""
}

// FindRequest gives the target of a hook the latest request that the history has.
func (t *Target) FindRequest(ctx context.Context, q *queue.Queue, portal string) error {
	if t.Rule.Hook == nil {
		return nil
	}
	found, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Portal: portal, Code: engine.CodeHook, Entity: t.Entity.String(), Limit: 1})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("the history has no request for %s, and a rule with a hook needs one", t.Entity)
	}
	t.Event, err = engineEvent(found[0])
	return err
}

func isAbout(t engine.Trigger, e engine.Entity) bool {
	switch t.Entity {
	case "item":
		return e.Kind == "item" && (t.EntityTypeID == 0 || t.EntityTypeID == e.TypeID)
	case "":
		return strings.EqualFold(strings.TrimSuffix(t.Code, strings.ToUpper(t.Op)), e.Kind)
	}
	return t.Entity == e.Kind
}

func eventList(r *engine.Rule) string {
	var codes []string
	for _, t := range r.Triggers {
		codes = append(codes, t.Code)
	}
	for _, b := range r.Robots {
		codes = append(codes, "the robot "+b.Code)
	}
	if r.Hook != nil {
		codes = append(codes, "the hook "+r.Hook.Name)
	}
	if a := r.AboutKind; a != nil && len(codes) == 0 {
		codes = append(codes, "the runs for "+a.String()+" that other rules or its schedule start")
	}
	return strings.Join(codes, ", ")
}

// CanList returns an error for a rule whose entities cannot be listed, so that it cannot run without
// its events.
func CanList(r *engine.Rule) error {
	if r.Derived() {
		return fmt.Errorf("rule %s computes its entity from the event (entity), so it cannot run without one", r.ID)
	}
	types, every, foreign := ScopeOf(r)
	if len(types) == 0 && !every {
		return fmt.Errorf("rule %s has only events whose entities cannot be listed: %s", r.ID, strings.Join(foreign, ", "))
	}
	return nil
}

// SyncJob returns a new job for the entities of a rule in a portal: for those that have changed since a
// time as the flag --since has it, by the portal's clock, or for all if since is "".
func (s *Service) SyncJob(ctx context.Context, portal string, t Target, since string) (catchup.Job, error) {
	job := catchup.Job{Portal: portal, Rule: t.Rule.ID, Started: time.Now(), Leftovers: t.Leftovers()}
	types, every, _ := ScopeOf(t.Rule)
	if every {
		all, err := DynamicTypes(ctx, s.Portal(portal).Later())
		if err != nil {
			return job, err
		}
		for _, typ := range all {
			if !slices.Contains(types, typ) {
				types = append(types, typ)
			}
		}
	}
	job.Types = types
	if since == "" {
		return job, nil
	}
	now, err := catchup.Now(ctx, s.Portal(portal).Later()) // entities have the times of this clock
	if err == nil {
		job.Since, err = report.ParsePast("--since", since, InZone(now, s.Portal(portal).Zone))
	}
	return job, err
}

// InZone returns t in the zone of a portal, or in the local one if it is unknown.
func InZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.Local()
	}
	return t.In(zone)
}

// Leftovers returns the places where a rule leaves records of its entities. It is nil
// for entities of several types, because an id does not show the type.
func (t Target) Leftovers() []catchup.Leftover {
	types, every, _ := ScopeOf(t.Rule)
	if len(types) != 1 || every {
		return nil
	}
	places, _ := describe.Leftovers(t.Rule, t.Inputs)
	out := make([]catchup.Leftover, len(places))
	for i, p := range places {
		out[i] = catchup.Leftover{TypeID: types[0], List: p.List, ListType: p.ListType, EntityTypeID: p.EntityTypeID, Field: p.Field}
	}
	return out
}

// DynamicTypes returns the entityTypeIds of smart invoices and of all smart processes
// of a portal.
func DynamicTypes(ctx context.Context, c bitrix.Later) ([]int, error) {
	rows, err := c.List(ctx, bitrix.Call{Method: "crm.type.list"}, "types")
	if err != nil {
		return nil, err
	}
	out := []int{schemas.TypeSmartInvoice}
	for _, row := range rows {
		var t struct {
			ID int `json:"entityTypeId"`
		}
		if err := json.Unmarshal(row, &t); err != nil {
			return nil, fmt.Errorf("crm.type.list: unexpected result: %w", err)
		}
		if t.ID > 0 && !slices.Contains(out, t.ID) {
			out = append(out, t.ID)
		}
	}
	return out, nil
}
