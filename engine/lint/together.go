package lint

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// Together reports what is wrong between sets that are fine each by
// itself: a rule id that two files use, rules of different files that start
// each other without end, or that write the same things.
func Together(sets []*engine.RuleSet) diag.List {
	var list diag.List
	first := map[string]*engine.Rule{}
	names := map[string]*engine.RuleSet{}
	for _, s := range sets {
		if prev := names[s.Name]; prev != nil {
			list.Errorf(diag.Pos{File: s.File, Line: 1, Column: 1}, "duplicate-set", "two rule files are named %q: this one and %s; inputs could not tell them apart", s.Name, prev.File)
		}
		names[s.Name] = s
		for _, r := range s.Rules {
			if prev := first[r.ID]; prev != nil {
				s.Source.WithEnd(r.Node, list.Errorf(r.Pos, "duplicate-rule", "the rule id %q is taken by %s", r.ID, prev.Pos)).Hint = "give one of them another id"
				continue
			}
			first[r.ID] = r
		}
	}
	list = append(list, checkCycles(sets, true)...)
	list = append(list, checkConflicts(sets, true)...)
	list.Sort()
	return list
}
