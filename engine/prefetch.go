package engine

import "slices"

// A run asks its portal for one thing after another, and each answer is a round
// trip. What a later step reads often does not depend on the answers before it:
// the elements of a scope that is the event's id may travel with the product
// rows. Such reads begin with the run, as long as nothing before them writes.

// namesBeforeSteps are what formulas see before the first step.
var namesBeforeSteps = []string{NameEvent, NameInputs, NameVars}

// Prefetchable finds the steps of a list whose reads need not wait for the steps
// before them. A step that may not run at all reads nothing ahead, and none does
// after one that writes or may end the run.
func Prefetchable(steps []*Step) []*Step {
	var out []*Step
	for i, s := range steps {
		if i > 0 && s.prefetchable() {
			out = append(out, s)
		}
		if s.Effect() == Writes || s.Action.Ends || s.OnError == OnErrorSteps {
			break
		}
	}
	return out
}

func (s *Step) prefetchable() bool {
	if s.When != nil || s.Once != nil || s.ForEach != nil || s.Timeout > 0 {
		return false
	}
	if s.Effect() != Reads && s.Action.Prefetch == nil {
		return false
	}
	early := true
	for _, a := range s.Args {
		a.readsBefore(s.Action, func(name string) { early = early && slices.Contains(namesBeforeSteps, name) })
	}
	return early
}

// readsBefore calls add for every name that the part of an argument reads which
// has to be known ahead.
func (a *Argument) readsBefore(of *Action, add func(name string)) {
	switch {
	case of.NeedsWhole(a.Field.Name):
		a.Value.Reads(add)
		if a.Fields != nil {
			a.Fields.Reads(add)
		}
		for _, n := range a.Names {
			n.Value.Reads(add)
		}
	case slices.Contains(of.PrefetchNames, a.Field.Name):
		for _, e := range a.Fields.Entries {
			e.Key.Reads(add)
		}
	}
}

// NeedsWhole reports whether an action needs a whole argument to read ahead.
func (a *Action) NeedsWhole(arg string) bool {
	return a.Prefetch == nil || slices.Contains(a.PrefetchArgs, arg)
}
