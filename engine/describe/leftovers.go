package describe

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Leftover is a list, or a type of items, that can hold records of an entity that no
// longer exists. The deleted steps find these records by a field with the entity's id.
type Leftover struct {
	// List is the IBLOCK_ID of a list and ListType its IBLOCK_TYPE_ID. EntityTypeID is
	// the type of items. Only one of List and EntityTypeID is set.
	List         int
	ListType     string
	EntityTypeID int
	// Field is the field or property, as the rule names it.
	Field string
}

// Leftovers lists where records can be left of entities that were deleted during
// downtime. inputs are the result of BindInputs. known is false when the place is not
// known for some step of deleted.
func Leftovers(r *engine.Rule, inputs map[string]any) (places []Leftover, known bool) {
	known = true
	sc := engine.Scope{Vars: map[string]any{engine.NameInputs: inputs}, Machine: formula.NewMachine(context.Background())}
	for _, s := range engine.Flatten(r.Deleted) {
		if s.Effect() != engine.Writes {
			continue
		}
		found, ok := leftoverOf(s, sc)
		if known = known && ok; ok && !slices.Contains(places, found) {
			places = append(places, found)
		}
	}
	return places, known
}

// leftoverOf returns where a step finds the records of its entity.
func leftoverOf(s *engine.Step, sc engine.Scope) (Leftover, bool) {
	m := managedFields(s, sc)
	out := Leftover{List: m.List, ListType: "lists", EntityTypeID: m.EntityTypeID}
	for _, t := range s.Touches() {
		if v, ok := fixed(argValue(s, t.ListType), sc); ok {
			out.ListType, _ = v.(string)
		}
		// A sync also finds its records by their rows, which are not known here.
		if a := s.Types.Arg(t.Which); a != nil && !(t.Adds && t.Deletes) {
			out.Field = fieldWithID(a.Fields, sc)
		}
	}
	return out, out.Field != "" && out.List+out.EntityTypeID > 0
}

// argValue is the value of an argument, nil when the file does not give it.
func argValue(s *engine.Step, name string) *engine.Value {
	if a := s.Types.Arg(name); a != nil {
		return a.Value
	}
	return nil
}

// fieldWithID is the name of the field whose value is the id of the run's entity.
func fieldWithID(f *engine.FieldsValue, sc engine.Scope) string {
	if f == nil {
		return ""
	}
	for _, e := range f.Entries {
		if !isEntityID(e.Value) {
			continue
		}
		if v, ok := fixed(e.Key, sc); ok {
			name, _ := v.(string)
			return name
		}
	}
	return ""
}

func isEntityID(v *engine.Value) bool {
	if v == nil || v.Node == nil || v.Formula == nil && v.Template == nil {
		return false
	}
	text := strings.TrimSpace(v.Node.Value)
	text = strings.TrimPrefix(text, "=")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "{{"), "}}")
	return strings.TrimSpace(text) == "event.id"
}

// Repeats lists the steps that act again when the rule runs for an entity that has
// not changed, such as a call or a message. A step with once or entered does not.
func Repeats(r *engine.Rule) []string {
	var out []string
	for _, s := range r.AllSteps() {
		if !s.Remembers && !s.Compares() {
			out = append(out, s.Label)
		}
	}
	return out
}
