package engine

import "slices"

// A run sends one request after another and waits for each answer. What a later step
// reads often does not depend on these answers: for example, the elements of a scope
// that is the event's id can be read together with the product rows. Such reads start
// when the run starts, if no earlier step writes.

// namesBeforeSteps are the names that formulas see before the first step.
var namesBeforeSteps = []string{NameEvent, NameInputs, NameVars}

// Prefetchable finds the steps of a list whose reads need not wait for the steps before
// them. Steps that may be skipped are not among them, nor steps after one that writes
// or may end the run.
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
	if s.When != nil || s.Remembers || s.ForEach != nil || s.Timeout > 0 {
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

// readsBefore calls add for every name that Prefetch needs of an argument.
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

// NeedsWhole reports whether Prefetch needs the values of an argument, and not only its
// names.
func (a *Action) NeedsWhole(arg string) bool {
	return a.Prefetch == nil || slices.Contains(a.PrefetchArgs, arg)
}
