package engine

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// TouchKind says what a step changes.
type TouchKind uint8

// The kinds of things that steps change.
const (
	TouchItems    TouchKind = iota // items of the CRM, whose changes send events
	TouchElements                  // elements of lists, whose changes send none
)

// Touch is something that a step may change. It names arguments of the step, so
// that the checks between rules can look at their values without knowing the
// action.
type Touch struct {
	Kind TouchKind
	// Adds, Updates and Deletes say what may happen.
	Adds, Updates, Deletes bool
	// Of is the argument that says which list or which type of items: owner,
	// entityTypeId, list.
	Of string
	// Type is the entityTypeId where the action knows it better than Of.
	Type int
	// Which is the argument that says which of them: id, key, scope, filter. ""
	// means that nothing is known of it.
	Which string
	// Fields is the argument with what is written, "" when that is not known.
	Fields string
	// Compares says that what is as wished already is not written again.
	Compares bool
	// Syncs says that the elements of the scope which the rule made, and for
	// which there is no row, are deleted.
	Syncs bool
}

// effect is a touch of one step of one rule, with what the file says of it.
type effect struct {
	Touch
	rule    *Rule
	step    *Step
	deleted bool // among the steps of a deleted entity
	// typ is the entityTypeId or the list's id, 0 when it is not known.
	typ int
	// of is a text that is equal for equal types or lists; "" when unknown.
	of string
	// said and whichText keep what texts and which have found.
	said      map[string]map[string]string
	whichText *string
}

// effects lists what the steps of a rule may change. inputs may be nil: then
// the defaults stand for them.
func (r *Rule) effects(inputs map[string]any) []effect {
	var out []effect
	add := func(steps []*Step, deleted bool) {
		for _, s := range Flatten(steps) {
			if s.Action.Touches == nil || s.Types == nil {
				continue
			}
			for _, t := range s.Action.Touches(s.Types) {
				e := effect{Touch: t, rule: r, step: s, deleted: deleted}
				e.resolve(inputs)
				out = append(out, e)
			}
		}
	}
	add(r.Steps, false)
	add(r.Deleted, true)
	return out
}

// resolve finds the type or list that is touched.
func (e *effect) resolve(inputs map[string]any) {
	if e.typ = e.Type; e.typ != 0 {
		e.of = "#" + numInt(e.typ).String()
		return
	}
	a := e.step.Types.Arg(e.Of)
	if a == nil {
		return
	}
	switch v, _ := e.rule.Fixed(a.Value, inputs); x := v.(type) {
	case num.Num:
		n, _ := x.Int64()
		e.typ = int(n)
	case string:
		e.typ = OwnerTypeID(x)
	}
	if e.of = e.rule.textOf(a.Value, inputs); e.typ != 0 {
		e.of = "#" + numInt(e.typ).String()
	}
}

// where is the node that names what is touched.
func (e *effect) where() *yaml.Node {
	if a := e.step.Types.Arg(e.Of); a != nil && a.Value != nil {
		return a.Value.Node
	}
	return e.step.Verb
}

// ops are the operations of events that the touch may cause.
func (e *effect) ops() []string {
	var out []string
	if e.Updates { // first: a second pass of an upsert updates
		out = append(out, schemas.OpUpdate)
	}
	if e.Adds {
		out = append(out, schemas.OpAdd)
	}
	if e.Deletes {
		out = append(out, schemas.OpDelete)
	}
	return out
}

// entries are the names and values of an argument such as fields, key or scope.
func (e *effect) entries(arg string) []*FieldEntry {
	a := e.step.Types.Arg(arg)
	if a == nil || a.Fields == nil {
		return nil
	}
	return a.Fields.Entries
}

// Fixed returns a value that is known before anything runs: a constant, a var
// that is one, an input, for which its default stands when inputs is nil.
func (r *Rule) Fixed(v *Value, inputs map[string]any) (any, bool) {
	if x, ok := v.Const(); ok {
		return x, true
	}
	if v == nil || v.Formula == nil {
		return nil, false
	}
	space, name, ok := strings.Cut(strings.TrimSpace(v.Formula.Source()), ".")
	switch {
	case ok && space == NameVars:
		for _, n := range r.Set.Vars {
			if n.Name == name {
				return r.Fixed(n.Value, inputs)
			}
		}
	case ok && space == NameInputs && inputs != nil:
		x, known := inputs[name]
		return x, known && x != nil
	case ok && space == NameInputs:
		for _, in := range r.Set.Inputs {
			if in.Name == name && in.HasDefault {
				return in.Default, true
			}
		}
	}
	return nil, false
}

// textOf is a text that two values share if they are equal for one entity; ""
// when that cannot be told. Values that depend on a set's inputs or a rule's
// results are equal only inside the set or rule.
func (r *Rule) textOf(v *Value, inputs map[string]any) string {
	if v == nil {
		return ""
	}
	if x, ok := r.Fixed(v, inputs); ok {
		switch x := x.(type) {
		case num.Num:
			return "#" + x.String()
		case string:
			return "'" + x
		case bool:
			return map[bool]string{true: "true", false: "false"}[x]
		}
		return ""
	}
	var text string
	switch {
	case v.Formula != nil:
		text = strings.Join(v.Formula.Conjuncts(), " && ")
	case v.Template != nil:
		text = "{" + v.Node.Value
	default:
		return ""
	}
	home := ""
	v.Reads(func(name string) {
		switch {
		case name == NameEvent:
		case name == NameInputs || name == NameVars:
			home = max(home, r.Set.Name+"/")
		default:
			home = r.Set.Name + "/" + r.ID + "/"
		}
	})
	return home + "=" + text
}

// Flatten lists steps with those of their on_error.
func Flatten(steps []*Step) []*Step {
	var out []*Step
	for _, s := range steps {
		out = append(out, s)
		out = append(out, Flatten(s.Instead)...)
	}
	return out
}

func (r *Rule) AllSteps() []*Step { return slices.Concat(Flatten(r.Steps), Flatten(r.Deleted)) }

// EachValue calls f for every value of a step, that of on_error's steps excepted.
func (s *Step) EachValue(f func(*Value)) {
	for _, v := range []*Value{s.When, s.Once, s.ForEach} {
		if v != nil {
			f(v)
		}
	}
	for _, a := range s.Args {
		a.EachValue(f)
	}
}

func (a *Argument) EachValue(f func(*Value)) {
	if a.Value != nil {
		f(a.Value)
	}
	if a.Fields != nil {
		for _, e := range a.Fields.Entries {
			f(e.Key)
			f(e.Value)
		}
	}
	for _, n := range a.Names {
		f(n.Value)
	}
}
