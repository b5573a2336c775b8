package describe

import (
	"context"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// Outline lists what rule tests need to know about a rule: the lines that a test can
// reach, and the fields that the steps write.
type Outline struct {
	// When is the line of the rule's own when, 0 without one.
	When  int
	Steps []StepOutline
}

// StepOutline describes one step of a rule. Step and Line are those of its
// StepTrace.
type StepOutline struct {
	Step, Action string
	Line         int
	// Part is the list that holds the step: steps, deleted or on_error.
	Part string
	// When says that the step has this option.
	When bool
	// Memory is the option by which the memory of earlier runs decides whether the step
	// runs: once, entered or at; "" without one.
	Memory string
	// Writes says that the step may change the portal's data.
	Writes  bool
	Managed Managed
}

// Managed are the fields that a step keeps up to date.
type Managed struct {
	// EntityTypeID is the type of the items, List the IBLOCK_ID of the list. They are 0
	// when the step has none, or when only a run can tell which.
	EntityTypeID, List int
	// Keys are the fields that tell one record from another. Names are all fields that
	// the step writes, including those of key and scope.
	Keys, Names []string
	// Unique says that each value of the keys belongs to one record only.
	Unique bool
	// Open says that some names are known only when the step runs.
	Open bool
}

// OutlineOf describes the rule's steps in the order of the file, each followed by the
// steps of its on_error. inputs are the result of BindInputs. They are needed for
// names and types that are formulas.
func OutlineOf(r *engine.Rule, inputs map[string]any) Outline {
	var out Outline
	if r.When != nil {
		out.When = r.When.File.Pos(r.When.Node).Line
	}
	sc := engine.Scope{Vars: map[string]any{engine.NameInputs: inputs}, Machine: formula.NewMachine(context.Background())}
	var walk func(part string, steps []*engine.Step)
	walk = func(part string, steps []*engine.Step) {
		for _, s := range steps {
			out.Steps = append(out.Steps, StepOutline{
				Step: s.Label, Action: s.Action.Name, Line: s.Pos.Line, Part: part,
				When: s.When != nil, Memory: memoryWord(s), Writes: s.Action.Effect == engine.Writes, Managed: managedFields(s, sc),
			})
			walk("on_error", s.Instead)
		}
	}
	walk("steps", r.Steps)
	walk("deleted", r.Deleted)
	return out
}

func memoryWord(s *engine.Step) string {
	switch {
	case s.Entered != nil:
		return "entered"
	case s.At != nil:
		return "at"
	case s.Once != nil:
		return "once"
	}
	return ""
}

// managedFields reads the arguments whose names are fields. Arguments that only select
// records, such as match and where, are not among them.
func managedFields(s *engine.Step, sc engine.Scope) Managed {
	var m Managed
	if s.Action.Effect != engine.Writes {
		return m
	}
	for _, t := range s.Touches() {
		m.EntityTypeID = t.Type
		if of := s.Types.Arg(t.Of); of != nil && t.Type == 0 {
			m.resolve(t.Kind, of.Value, sc)
		}
		for _, arg := range t.Names {
			a := s.Types.Arg(arg)
			if a == nil {
				continue
			}
			names := fieldNames(a.Fields, sc, &m.Open)
			m.Names = append(m.Names, names...)
			if arg == t.Key {
				m.Keys = names
			}
		}
		m.Unique = t.Key != "" && t.Key == t.Which
	}
	return m
}

// resolve finds the type or list that an argument names.
func (m *Managed) resolve(kind engine.TouchKind, v *engine.Value, sc engine.Scope) {
	if kind == engine.TouchRule { // the argument names a rule
		return
	}
	out, _ := fixed(v, sc)
	switch x := out.(type) {
	case num.Num:
		n, _ := x.Int64()
		if kind == engine.TouchElements {
			m.List = int(n)
		} else {
			m.EntityTypeID = int(n)
		}
	case string:
		m.EntityTypeID = engine.OwnerTypeID(x)
	}
}

func fieldNames(f *engine.FieldsValue, sc engine.Scope, open *bool) []string {
	if f == nil {
		return nil
	}
	var out []string
	for _, e := range f.Entries {
		if name, ok := fixed(e.Key, sc); ok {
			if text, _ := name.(string); text != "" {
				out = append(out, text)
				continue
			}
		}
		*open = true
	}
	return out
}

// fixed returns a value that depends on nothing but the inputs.
func fixed(v *engine.Value, sc engine.Scope) (any, bool) {
	if v == nil {
		return nil, false
	}
	known := true
	v.Reads(func(name string) { known = known && name == engine.NameInputs })
	if !known {
		return nil, false
	}
	out, err := v.Eval(context.Background(), sc)
	return out, err == nil
}
