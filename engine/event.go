package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// Event is one event as the portal sent it.
type Event struct {
	// Code is the event's code in any case, with or without the suffix of a type.
	Code string
	// Data is the event's data[...]. The portal sends all values as text.
	Data map[string]any
	// Time is when the portal sent the event.
	Time time.Time
}

// Field returns data[FIELDS][name], or data[name] where an event has no FIELDS.
func (e Event) Field(name string) string {
	if fields, ok := e.Data["FIELDS"].(map[string]any); ok {
		if s, ok := fields[name].(string); ok {
			return s
		}
	}
	s, _ := e.Data[name].(string)
	return s
}

// EntityID returns the id of the event's entity, "" when data has none.
func (e Event) EntityID(known schemas.Event) string {
	for _, place := range known.IDs {
		data := e.Data
		group, name, nested := strings.Cut(place, ".")
		if nested {
			data, _ = data[group].(map[string]any)
		} else {
			name = group
		}
		if id, ok := data[name].(string); ok && id != "" {
			return id
		}
	}
	return ""
}

// ValidID returns the id of the event's entity in its usual form. It returns an error
// when data has no id or one that cannot be read.
func (e Event) ValidID(known schemas.Event) (string, error) {
	id := e.EntityID(known)
	if id == "" {
		return "", fmt.Errorf("%s: no id in %s", e.Code, strings.Join(known.IDs, " or "))
	}
	if known.TextID {
		return id, nil
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return "", fmt.Errorf("%s: cannot read the id %.100q", e.Code, id)
	}
	return strconv.FormatInt(n, 10), nil
}

// Entity is what a run is about.
type Entity struct {
	// Kind is deal, lead, contact, company, quote or item; for other events it
	// is the event's code without its ending.
	Kind string
	// TypeID is the entityTypeId of a CRM entity, 0 for everything else.
	TypeID int
	// ID is the entity's id, digits except for a currency.
	ID string
}

// String returns the entity as one word: "deal:759", "item:31:7".
func (e Entity) String() string {
	if e.Kind == "item" {
		return fmt.Sprintf("item:%d:%s", e.TypeID, e.ID)
	}
	return e.Kind + ":" + e.ID
}

// ParseEntity reads a text that String returned.
func ParseEntity(s string) (Entity, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || kind == "" {
		return Entity{}, fmt.Errorf("%q is not an entity such as deal:759 or item:31:7", s)
	}
	if kind != "item" {
		return Entity{Kind: kind, TypeID: OwnerTypeID(kind), ID: rest}, nil
	}
	typ, id, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(typ)
	if err != nil {
		return Entity{}, fmt.Errorf("%q is not an entity such as item:31:7", s)
	}
	return Entity{Kind: kind, TypeID: n, ID: id}, nil
}

// OwnerTypeID returns the entityTypeId of a kind of CRM entity such as "deal", 0 for
// other kinds.
func OwnerTypeID(kind string) int {
	if o, ok := schemas.LookupOwner(kind); ok {
		return o.ID
	}
	return 0
}

// Route is one rule that an event matches.
type Route struct {
	Rule   *Rule
	Entity Entity
	// Added and Deleted say that the event reports a new or a deleted entity.
	Added, Deleted bool
}

// Route returns the rules of the set that an event of a portal matches. An event that
// names no entity matches none.
func (s *RuleSet) Route(portal string, e Event, inputs map[string]any) []Route {
	if strings.HasPrefix(e.Code, OwnCode) {
		return s.routeOwn(portal, e, inputs)
	}
	known, suffix, ok := schemas.LookupEvent(e.Code)
	if !ok {
		return nil
	}
	ent, ok := EntityOf(known, suffix, e)
	if !ok {
		return nil
	}
	var out []Route
	for _, r := range s.Rules {
		if !r.Serves(portal) {
			continue
		}
		if !r.matches(known, suffix, ent) {
			continue
		}
		out = append(out, Route{Rule: r, Entity: r.About(ent, portal, e, inputs), Added: known.Op == "add", Deleted: known.Op == "delete"})
	}
	return out
}

// matches reports whether one of the rule's triggers takes the event. The portal sends
// each suffixed code together with the base code, so a trigger takes only the form that
// the file names.
func (r *Rule) matches(known schemas.Event, suffix int, ent Entity) bool {
	for _, t := range r.Triggers {
		if t.Code != known.Code {
			continue
		}
		if t.EntityTypeID == 0 && suffix == 0 || t.EntityTypeID != 0 && t.EntityTypeID == ent.TypeID {
			return true
		}
	}
	return false
}

// EntityOf returns the entity that an event is about. It reports false when the event
// carries no valid id.
func EntityOf(known schemas.Event, suffix int, e Event) (Entity, bool) {
	id, err := e.ValidID(known)
	if err != nil {
		return Entity{}, false
	}
	switch known.Entity {
	case "":
		return Entity{Kind: strings.ToLower(strings.TrimSuffix(known.Code, strings.ToUpper(known.Op))), ID: id}, true
	case "item":
		typ := suffix
		if typ == 0 {
			typ, _ = strconv.Atoi(e.Field("ENTITY_TYPE_ID"))
		}
		return Entity{Kind: "item", TypeID: typ, ID: id}, typ > 0
	}
	return Entity{Kind: known.Entity, TypeID: OwnerTypeID(known.Entity), ID: id}, true
}

// About applies the rule's entity formula. If the formula fails, the run is about the
// event's own entity. It then fails at its start and reports the error.
func (r *Rule) About(ent Entity, portal string, e Event, inputs map[string]any) Entity {
	if r.Entity == nil {
		return ent
	}
	id, err := r.EntityID(context.Background(), EventScope(ent, portal, e, 1, false), inputs)
	if err != nil {
		return ent
	}
	ent.ID = id
	return ent
}

// EntityID evaluates the rule's entity formula.
func (r *Rule) EntityID(ctx context.Context, event map[string]any, inputs map[string]any) (string, error) {
	sc := Scope{Vars: map[string]any{NameEvent: event, NameInputs: inputs, NameVars: map[string]any{}}, Machine: formula.NewMachine(ctx)}
	v, err := r.Entity.Eval(ctx, sc)
	if err != nil {
		return "", err
	}
	text, err := formula.ToText(v)
	if err != nil || text == "" {
		return "", r.Entity.Errorf("entity must be an id, but the formula gives %s", KindOf(v))
	}
	return text, nil
}

// EventScope returns the value of event in formulas.
func EventScope(ent Entity, portal string, e Event, count int, added bool) map[string]any {
	out := map[string]any{
		"id": any(ent.ID), "entityTypeId": nil, "added": added, "count": numInt(count),
		"data": any(e.Data), "portal": portal, "time": e.Time,
	}
	if e.Data == nil {
		out["data"] = map[string]any{}
	}
	if id, err := num.Parse(ent.ID); err == nil {
		out["id"] = id
	}
	if ent.TypeID != 0 {
		out["entityTypeId"] = numInt(ent.TypeID)
	}
	return out
}
