package lint

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// Together reports what is wrong between sets that have no errors themselves: a rule
// id in two files, rules of different files that trigger each other without end, or
// rules that write the same records.
func Together(sets []*engine.RuleSet) diag.List {
	var list diag.List
	first := map[string]*engine.Rule{}
	names := map[string]*engine.RuleSet{}
	for _, s := range sets {
		if prev := names[s.Name]; prev != nil {
			list.Errorf(diag.Pos{File: s.File, Line: 1, Column: 1}, "duplicate-set", "the rule file %s has the same name %q, and inputs are configured by that name", prev.File, s.Name).Hint = "rename one of the files"
		}
		names[s.Name] = s
		for _, r := range s.Rules {
			if prev := first[r.ID]; prev != nil {
				s.Source.WithEnd(r.Node, list.Errorf(r.Pos, "duplicate-rule", "the rule id %q is already used at %s", r.ID, prev.Pos)).Hint = "change one of the ids"
				continue
			}
			first[r.ID] = r
		}
	}
	checkStarts(sets, first, &list)
	list = append(list, checkCycles(sets, true)...)
	list = append(list, checkConflicts(sets, true)...)
	list.Sort()
	return list
}
