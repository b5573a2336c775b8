package describe

import (
	"context"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Needs are what a rule needs of a portal.
type Needs struct {
	// Places are where the rule reads or writes records, in the order of its steps.
	Places []Place
	// Methods are the REST methods that the rule calls besides those for the records of
	// Places, sorted. A method that only a run can tell is not among them.
	Methods []string
}

// Place is a list, or a type of items, where a rule reads or writes records. Only one
// of List and EntityTypeID is set.
type Place struct {
	// List is the IBLOCK_ID of a list and ListType its IBLOCK_TYPE_ID.
	List     int
	ListType string
	// EntityTypeID is the type of items.
	EntityTypeID int
	// Fields are the fields that the rule writes there, sorted, as the rule names them.
	Fields []string
}

// NeedsOf describes the rule's needs. inputs are the result of BindInputs. A place that
// only a run can tell is not among them.
func NeedsOf(r *engine.Rule, inputs map[string]any) Needs {
	var out Needs
	sc := engine.Scope{Vars: map[string]any{engine.NameInputs: inputs}, Machine: formula.NewMachine(context.Background())}
	if readsCalendar(r) {
		out.Methods = append(out.Methods, calendarMethod)
	}
	for _, s := range r.AllSteps() {
		if s.Action.Methods != nil {
			out.Methods = append(out.Methods, s.Action.Methods(s.Types)...)
			continue
		}
		fields := managedFields(s, sc).Names
		for _, t := range s.Touches() {
			if p, ok := placeOf(s, t, sc); ok {
				out.add(p, fields)
			}
		}
	}
	slices.Sort(out.Methods)
	out.Methods = slices.Compact(out.Methods)
	return out
}

// placeOf returns where a step touches records.
func placeOf(s *engine.Step, t engine.Touch, sc engine.Scope) (Place, bool) {
	var m Managed
	m.EntityTypeID = t.Type
	if of := s.Types.Arg(t.Of); of != nil && t.Type == 0 {
		m.resolve(t.Kind, of.Value, sc)
	}
	p := Place{List: m.List, EntityTypeID: m.EntityTypeID}
	if p.List != 0 {
		p.ListType = "lists"
		if v, ok := fixed(argValue(s, t.ListType), sc); ok {
			p.ListType, _ = v.(string)
		}
	}
	return p, p.List+p.EntityTypeID > 0
}

// add adds the fields of a place, which may be among the places already.
func (n *Needs) add(p Place, fields []string) {
	i := slices.IndexFunc(n.Places, func(q Place) bool {
		return q.List == p.List && q.ListType == p.ListType && q.EntityTypeID == p.EntityTypeID
	})
	if i < 0 {
		i = len(n.Places)
		n.Places = append(n.Places, p)
	}
	at := &n.Places[i].Fields
	*at = append(*at, fields...)
	slices.Sort(*at)
	*at = slices.Compact(*at)
}
