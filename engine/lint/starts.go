package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// start is a step that starts another rule.
type start struct {
	rule string // the name of it, "" when that is not known
	at   place  // of the name
	// id is the place of the id for which the rule runs; nil without one.
	id *place
	// idOf is the type of the records whose id it is, 0 when that is not known; idName names
	// one of them.
	idOf   int
	idName string
}

func startOf(r *engine.Rule, step *engine.Step) start {
	a := access{Touch: engine.Touch{Kind: engine.TouchRule, Of: "rule"}, rule: r, step: step}
	out := start{rule: a.startedRule(), at: placeOf(r.Set.Source, a.node())}
	if id := step.Types.Arg("id"); id != nil {
		at := placeOf(r.Set.Source, id.Value.Node)
		out.id = &at
	}
	if d := idDomain(step.Types.Type("id")); d != nil {
		out.idOf, out.idName = d.IDOf, d.IDName
	}
	return out
}

// checkStarts reports starts of rules that are not there, or that do not say what their
// runs are for, and rules that nothing starts.
func checkStarts(sets []*Summary, rules map[string]*ruleSummary, list *diag.List) {
	started := map[string]bool{}
	for _, s := range sets {
		for _, r := range s.rules {
			for _, one := range r.starts {
				checkStart(r, one, rules, list)
				for _, id := range s.started(one.rule) {
					started[id] = true
				}
			}
		}
	}
	for _, s := range sets {
		for _, r := range s.rules {
			if !r.startsItself && !started[r.id] && rules[r.id] == r {
				f := list.Warnf(r.at.Pos, "start-rule", "rule %s has no events, and no rule of the checked files starts it", r.id)
				r.at.mark(f).Hintf("add a step start: {rule: %s} to the rule that says for whom it runs, or add on", r.id)
			}
		}
	}
}

func checkStart(r *ruleSummary, one start, rules map[string]*ruleSummary, list *diag.List) {
	var target *ruleSummary
	for _, id := range r.set.started(one.rule) {
		if target == nil {
			target = rules[id]
		}
	}
	warn := func(format string, args ...any) *diag.Finding {
		return one.at.mark(list.Warnf(one.at.Pos, "start-rule", format, args...))
	}
	if one.rule == "" {
		return
	}
	if target == nil {
		f := warn("none of the checked files has a rule %q", one.rule)
		if near := diag.Closest(one.rule, slices.Sorted(maps.Keys(rules))); near != "" {
			f.Hintf("did you mean %s?", near)
		}
		return
	}
	about := target.about
	if about != nil && !about.Portal {
		checkRollUp(r, target, list)
	}
	switch {
	case about == nil:
		warn("rule %s does not say what its runs are for, so no id can start it", one.rule).Hint = "give that rule about, such as about: company"
	case about.Portal && one.id != nil:
		warn("rule %s is about the portal, so it takes no id", one.rule).Hint = "remove id"
	case !about.Portal && one.id == nil:
		warn("start needs the id of the entity for which rule %s runs", one.rule).Hint = "add id: =deal.companyId"
	case !share(r.portals, target.portals):
		warn("rule %s runs on none of the portals of rule %s", one.rule, r.id).Hint = "give both rules the same portals"
	case !about.Portal && one.idOf != 0 && one.idOf != about.TypeID:
		one.id.mark(list.Warnf(one.id.Pos, "wrong-id", "rule %s is about %s, and this is the id of %s", one.rule, *about, one.idName))
	}
}

// checkRollUp reports a rule that starts a total of its entities and does not subscribe to all
// that changes the total: the list of entities has another one, lacks one, or one of
// them has other values.
func checkRollUp(child, target *ruleSummary, list *diag.List) {
	own := child.about
	if own == nil || own.Portal || len(child.triggers) == 0 || !slices.Contains(target.lists, own.TypeID) {
		return
	}
	for _, op := range []string{schemas.OpAdd, schemas.OpUpdate, schemas.OpDelete} {
		if slices.ContainsFunc(child.triggers, func(t trigger) bool { return t.op == op }) {
			continue
		}
		like := child.triggers[0]
		code := strings.TrimSuffix(like.code, strings.ToUpper(like.op)) + strings.ToUpper(op)
		what := map[string]string{schemas.OpAdd: "is added", schemas.OpUpdate: "changes or moves", schemas.OpDelete: "is deleted"}[op]
		f := list.Warnf(child.onAt.Pos, "start-rule", "rule %s computes its fields from a list, but on lists no %s: the fields stay unchanged when %s %s", target.id, code, engine.TypeWord(own.TypeID), what)
		child.onAt.mark(f).Hintf("add %s to on", code)
		return
	}
}

// listedTypes lists the types of the items that a rule lists, if it compares before it writes.
func listedTypes(r *engine.Rule) []int {
	var lists []int
	writes := false
	for _, step := range engine.Flatten(r.Steps) {
		writes = writes || step.Effect() == engine.Writes && step.Compares() && step.Entered == nil && step.Once == nil && step.At == nil
		for _, t := range step.Touches() {
			if t.Reads && t.Kind == engine.TouchItems && t.Which == "filter" {
				a := access{Touch: t, rule: r, step: step}
				a.resolve(nil)
				lists = append(lists, a.typ)
			}
		}
	}
	if !writes {
		return nil
	}
	return lists
}

// idDomain returns what is known of an id, or of the ids of a list; nil when nothing is.
func idDomain(t formula.Type) *formula.Domain {
	if t.Kind == formula.List && t.Elem != nil {
		t = *t.Elem
	}
	return t.Domain
}
