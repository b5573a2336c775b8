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
	checkMoved(sets, first, &list)
	checkStarts(sets, first, &list)
	checkSources(sets, true, &list)
	list = append(list, checkCycles(sets, true)...)
	list = append(list, checkConflicts(sets, true)...)
	list.Sort()
	return list
}

// checkMoved reports rules that take over a rule that exists, or the same one.
func checkMoved(sets []*engine.RuleSet, rules map[string]*engine.Rule, list *diag.List) {
	taken := map[string]*engine.Rule{}
	for _, s := range sets {
		for _, r := range s.Rules {
			for _, from := range r.From {
				at := s.Source.Pos(r.FromNode)
				if live := rules[from]; live != nil {
					s.Source.WithEnd(r.FromNode, list.Errorf(at, "moved-rule", "rule %s exists at %s, so rule %s cannot take over what it has made", from, live.Pos, r.ID)).
						Hint = "remove the old rule, or remove moved"
				} else if other := taken[from]; other != nil {
					s.Source.WithEnd(r.FromNode, list.Errorf(at, "moved-rule", "rule %s at %s takes over what rule %s has made already", other.ID, other.Pos, from)).
						Hint = "name the old rule in one of them"
				}
				taken[from] = r
			}
		}
	}
}
