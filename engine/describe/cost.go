package describe

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// stepCost is the number of REST commands of a step with its options. A step that may
// be skipped costs nothing at least, and for_each multiplies.
func stepCost(s *engine.Step) engine.Cost {
	c := s.Action.Cost
	if s.ForEach != nil {
		of := valueText(s.ForEach)
		if formula.CheckName(of) != nil {
			of = "each"
		}
		each := func(a engine.Amount) engine.Amount {
			if a.Zero() {
				return a
			}
			return engine.Amount{Terms: []engine.Term{{Of: of, Each: &a}}}
		}
		c = engine.Cost{Least: each(c.Least), Typical: each(c.Typical), Worst: each(c.Worst)}
	}
	if s.When != nil || s.Remembers {
		c.Least = engine.Amount{}
	}
	return c
}
