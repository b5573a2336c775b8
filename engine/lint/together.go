package lint

import "github.com/b24rules/b24rules/internal/diag"

// Together reports what is wrong between sets that have no errors themselves: a rule
// id in two files, rules of different files that trigger each other without end, or
// rules that write the same records.
func Together(sets []*Summary) diag.List {
	var list diag.List
	first := map[string]*ruleSummary{}
	names := map[string]*Summary{}
	for _, s := range sets {
		if prev := names[s.name]; prev != nil {
			list.Errorf(diag.Pos{File: s.file, Line: 1, Column: 1}, "duplicate-set", "the rule file %s has the same name %q, and inputs are configured by that name", prev.file, s.name).Hint = "rename one of the files"
		}
		names[s.name] = s
		for _, r := range s.rules {
			if prev := first[r.id]; prev != nil {
				r.at.mark(list.Errorf(r.at.Pos, "duplicate-rule", "the rule id %q is already used at %s", r.id, prev.at.Pos)).Hint = "change one of the ids"
				continue
			}
			first[r.id] = r
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
func checkMoved(sets []*Summary, rules map[string]*ruleSummary, list *diag.List) {
	taken := map[string]*ruleSummary{}
	for _, s := range sets {
		for _, r := range s.rules {
			for _, from := range r.from {
				if live := rules[from]; live != nil {
					r.fromAt.mark(list.Errorf(r.fromAt.Pos, "moved-rule", "rule %s exists at %s, so rule %s cannot take over what it has made", from, live.at.Pos, r.id)).
						Hint = "remove the old rule, or remove moved"
				} else if other := taken[from]; other != nil {
					r.fromAt.mark(list.Errorf(r.fromAt.Pos, "moved-rule", "rule %s at %s takes over what rule %s has made already", other.id, other.at.Pos, from)).
						Hint = "name the old rule in one of them"
				}
				taken[from] = r
			}
		}
	}
}
