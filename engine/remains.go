package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/formula"
)

// Remain is a place where a rule leaves things of an entity that are to go with
// it: the deleted steps find them there by a field that holds the entity's id.
type Remain struct {
	// List is the IBLOCK_ID of a list and ListType its kind, or EntityTypeID the
	// type of items.
	List         int
	ListType     string
	EntityTypeID int
	// Field is the field or property, as the rule names it.
	Field string
}

// Remains lists where things can remain of entities that were deleted while
// nobody listened. inputs are what BindInputs gave. known is false when the
// deleted steps do something of which the places cannot be told.
func (r *Rule) Remains(inputs map[string]any) (places []Remain, known bool) {
	known = true
	sc := scope{vars: map[string]any{nameInputs: inputs}, machine: formula.NewMachine(context.Background())}
	for _, s := range flatten(r.deleted) {
		if s.effect() != Writes {
			continue
		}
		found, ok := s.remains(sc)
		if known = known && ok; ok && !slices.Contains(places, found) {
			places = append(places, found)
		}
	}
	return places, known
}

// remains tells where a step finds the things of its entity.
func (s *step) remains(sc scope) (Remain, bool) {
	m := s.managed(sc)
	out := Remain{List: m.List, ListType: "lists", EntityTypeID: m.EntityTypeID}
	for _, a := range s.args {
		switch a.field.Name {
		case "list_type":
			if v, ok := fixed(a.value, sc); ok {
				out.ListType, _ = v.(string)
			}
		case "scope", "filter", "key":
			out.Field = a.fields.holding(sc)
		}
	}
	return out, out.Field != "" && out.List+out.EntityTypeID > 0
}

// holding is the name of the field whose value is the id of the run's entity.
func (f *fieldsValue) holding(sc scope) string {
	if f == nil {
		return ""
	}
	for _, e := range f.entries {
		if !e.value.isEntityID() {
			continue
		}
		if v, ok := fixed(e.key, sc); ok {
			name, _ := v.(string)
			return name
		}
	}
	return ""
}

func (v *value) isEntityID() bool {
	if v == nil || v.node == nil || v.formula == nil && v.template == nil {
		return false
	}
	text := strings.TrimSpace(v.node.Value)
	text = strings.TrimPrefix(text, "=")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "{{"), "}}")
	return strings.TrimSpace(text) == "event.id"
}

// Loud lists the steps that do something again when the rule runs for an entity
// that has not changed: a call, a message. A step with once does not.
func (r *Rule) Loud() []string {
	var out []string
	for _, s := range r.allSteps() {
		if s.once == nil && s.effect() == Writes && !s.settles() {
			out = append(out, s.label)
		}
	}
	return out
}

// settles reports whether a second run of the step finds nothing to do.
func (s *step) settles() bool {
	if s.action.touches == nil || s.types == nil {
		return false
	}
	touches := s.action.touches(s.types)
	for _, t := range touches {
		if !t.Compares && !(t.Deletes && !t.Adds && !t.Updates) {
			return false
		}
	}
	return len(touches) > 0
}

// Derived reports whether a formula of the rule says what it is about, which
// only an event can tell.
func (r *Rule) Derived() bool { return r.entity != nil }
