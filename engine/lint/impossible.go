package lint

import (
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// checkImpossible warns of conditions that are never true, because a step before ends the run
// where they would be, or because two parts of them exclude each other.
func checkImpossible(c *reviewer, steps []*engine.Step) {
	type known struct {
		cond string
		by   *engine.Step
	}
	var all []known
	for _, s := range steps {
		for _, v := range []*engine.Value{s.When, s.Entered} {
			own := v.Facts().True()
			if i := slices.IndexFunc(all, func(k known) bool { return excludesAny(k.cond, own) }); i >= 0 && !doubted(v) {
				c.warnf(v.Node, "constant-condition", "this condition is never true here, because the %s on line %d ends the run then", all[i].by.Action.Name, all[i].by.Pos.Line).
					Hint = "correct one of the two conditions, or remove the step"
			} else if slices.ContainsFunc(own, func(cond string) bool { return excludesAny(cond, own) }) && !doubted(v) {
				c.warnf(v.Node, "constant-condition", "this condition is always false: two parts of it exclude each other").Hint = "write || where one of them is enough"
			}
		}
		if s.Action.Ends && !s.Remembers && s.ForEach == nil && s.OnError == engine.OnErrorPark {
			for _, cond := range s.When.FactsIfFalse().True() {
				all = append(all, known{cond, s})
			}
		}
	}
}

func excludesAny(cond string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool { return exclude(cond, other) })
}

// doubted reports whether a formula has a finding of a condition that decides nothing.
func doubted(v *engine.Value) bool {
	return v.Formula != nil && slices.ContainsFunc(v.Formula.Doubts(), func(p formula.Problem) bool { return p.Code == "constant-condition" })
}
