package engine

import (
	"slices"
	"strings"
)

// Flatten lists steps with those of their on_error.
func Flatten(steps []*Step) []*Step {
	var out []*Step
	for _, s := range steps {
		out = append(out, s)
		out = append(out, Flatten(s.Instead)...)
	}
	return out
}

// AllSteps lists the steps and the deleted steps of the rule, with those of their
// on_error.
func (r *Rule) AllSteps() []*Step { return slices.Concat(Flatten(r.Steps), Flatten(r.Deleted)) }

// hasStep reports whether a step of AllSteps is one of a kind. It makes no list, because
// each run asks.
func (r *Rule) hasStep(is func(*Step) bool) bool {
	return hasStep(r.Steps, is) || hasStep(r.Deleted, is)
}

func hasStep(steps []*Step, is func(*Step) bool) bool {
	return slices.ContainsFunc(steps, func(s *Step) bool { return is(s) || hasStep(s.Instead, is) })
}

// EachValue calls f for every value of the step itself, not of its on_error.
func (s *Step) EachValue(f func(*Value)) {
	for _, v := range []*Value{s.When, s.Entered, s.At, s.Once, s.ForEach} {
		if v != nil {
			f(v)
		}
	}
	for _, a := range s.Args {
		a.EachValue(f)
	}
}

// EachValue calls f for every value of the argument.
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

// Effect returns the effect of the step with its arguments.
func (s *Step) Effect() Effect {
	if s.Action.EffectOf != nil && s.Types != nil {
		return s.Action.EffectOf(s.Types)
	}
	return s.Action.Effect
}

// Touches lists the records that the step may read or change, as far as its action
// knows.
func (s *Step) Touches() []Touch {
	if s.Action.Touches == nil || s.Types == nil {
		return nil
	}
	return s.Action.Touches(s.Types)
}

// Compares reports whether a second run of the step finds nothing to do, because it
// compares before it writes or writes nothing at all.
func (s *Step) Compares() bool {
	if s.Effect() != Writes {
		return true
	}
	touches := s.Touches()
	for _, t := range touches {
		if !t.Compares && (!t.Deletes || t.Adds || t.Updates) {
			return false
		}
	}
	return len(touches) > 0
}

// RunsEarly reports whether a run may start before its entity is quiet: a further run
// repairs what it has missed. That is not so for steps that act in every run or once, and
// for those that delete: an application may save an entity first and its rows later.
func (r *Rule) RunsEarly() bool {
	if r.Remembers() {
		return false
	}
	for _, s := range r.AllSteps() {
		if !s.Compares() {
			return false
		}
		for _, t := range s.Touches() {
			if t.Deletes || t.Syncs {
				return false
			}
		}
	}
	return true
}

// Fixed returns a value that is known before any run: a constant, a var that is
// constant, or an input. When inputs is nil, inputs have their defaults.
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

// ItemType returns the entityTypeId of a trigger's items, 0 when the trigger is about
// other entities or about all types.
func (t Trigger) ItemType() int {
	if t.Entity == "item" {
		return t.EntityTypeID
	}
	return OwnerTypeID(t.Entity)
}

// PathPrefix returns the first n names of a path.
func PathPrefix(path string, n int) string {
	end := 0
	for range n {
		next := strings.IndexByte(path[end:], '.')
		if next < 0 {
			return path
		}
		end += next + 1
	}
	return path[:end-1]
}

// Derived reports whether a formula decides what a run is about. Only an event can tell
// the entity then.
func (r *Rule) Derived() bool { return r.Entity != nil }
