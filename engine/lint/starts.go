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

// checkStarts reports starts of rules that are not there, or that do not say what their
// runs are for, and rules that nothing starts.
func checkStarts(sets []*engine.RuleSet, rules map[string]*engine.Rule, list *diag.List) {
	started := map[string]bool{}
	for _, s := range sets {
		for _, r := range s.Rules {
			for _, step := range r.AllSteps() {
				if !step.Action.Starts {
					continue
				}
				e := effect{Touch: engine.Touch{Kind: engine.TouchRule, Of: "rule"}, rule: r, step: step}
				checkStart(s, &e, rules, list)
				for _, id := range s.Started(e.startedRule()) {
					started[id] = true
				}
			}
		}
	}
	for _, s := range sets {
		for _, r := range s.Rules {
			if alone := len(r.Triggers)+len(r.Schedules)+len(r.Robots) == 0 && r.Hook == nil; alone && !started[r.ID] && rules[r.ID] == r {
				f := list.Warnf(r.Pos, "start-rule", "rule %s has no events, and no rule of the checked files starts it", r.ID)
				s.Source.WithEnd(r.Node, f).Hintf("add a step start: {rule: %s} to the rule that says for whom it runs, or add on", r.ID)
			}
		}
	}
}

func checkStart(s *engine.RuleSet, e *effect, rules map[string]*engine.Rule, list *diag.List) {
	name := e.startedRule()
	var target *engine.Rule
	for _, id := range s.Started(name) {
		if target == nil {
			target = rules[id]
		}
	}
	id := e.step.Types.Arg("id")
	warn := func(format string, args ...any) *diag.Finding {
		return s.Source.WithEnd(e.node(), list.Warnf(s.Source.Pos(e.node()), "start-rule", format, args...))
	}
	if name == "" {
		return
	}
	if target == nil {
		f := warn("none of the checked files has a rule %q", name)
		if near := diag.Closest(name, slices.Sorted(maps.Keys(rules))); near != "" {
			f.Hintf("did you mean %s?", near)
		}
		return
	}
	about, ok := target.Subject()
	if ok && !about.Portal {
		checkRollUp(s, e.rule, target, list)
	}
	switch {
	case !ok:
		warn("rule %s does not say what its runs are for, so no id can start it", name).Hint = "give that rule about, such as about: company"
	case about.Portal && id != nil:
		warn("rule %s is about the portal, so it takes no id", name).Hint = "remove id"
	case !about.Portal && id == nil:
		warn("start needs the id of the entity for which rule %s runs", name).Hint = "add id: =deal.companyId"
	case !share(e.rule.Portals, target.Portals):
		warn("rule %s runs on none of the portals of rule %s", name, e.rule.ID).Hint = "give both rules the same portals"
	case !about.Portal && otherID(e.step.Types.Type("id"), about):
		d := idDomain(e.step.Types.Type("id"))
		f := list.Warnf(s.Source.Pos(id.Value.Node), "wrong-id", "rule %s is about %s, and this is the id of %s", name, about, d.IDName)
		s.Source.WithEnd(id.Value.Node, f)
	}
}

// checkRollUp reports a rule that starts a total of its entities and does not subscribe to all
// that changes the total: the list of entities has another one, lacks one, or one of
// them has other values.
func checkRollUp(s *engine.RuleSet, child, target *engine.Rule, list *diag.List) {
	own, ok := child.Subject()
	if !ok || own.Portal || len(child.Triggers) == 0 || !sumsUp(target, own.TypeID) {
		return
	}
	for _, op := range []string{schemas.OpAdd, schemas.OpUpdate, schemas.OpDelete} {
		if slices.ContainsFunc(child.Triggers, func(t engine.Trigger) bool { return t.Op == op }) {
			continue
		}
		like := child.Triggers[0]
		code := strings.TrimSuffix(like.Code, strings.ToUpper(like.Op)) + strings.ToUpper(op)
		what := map[string]string{schemas.OpAdd: "is added", schemas.OpUpdate: "changes or moves", schemas.OpDelete: "is deleted"}[op]
		f := list.Warnf(s.Source.Pos(like.Node), "start-rule", "rule %s computes its fields from a list, but on lists no %s: the fields stay unchanged when %s %s", target.ID, code, engine.TypeWord(own.TypeID), what)
		s.Source.WithEnd(like.Node, f).Hintf("add %s to on", code)
		return
	}
}

// sumsUp reports whether a rule lists items of a type and compares before it writes.
func sumsUp(r *engine.Rule, typ int) bool {
	lists, writes := false, false
	for _, step := range engine.Flatten(r.Steps) {
		writes = writes || step.Effect() == engine.Writes && step.Compares() && step.Entered == nil && step.Once == nil && step.At == nil
		for _, t := range step.Touches() {
			e := effect{Touch: t, rule: r, step: step}
			if t.Reads && t.Kind == engine.TouchItems && t.Which == "filter" {
				e.resolve(nil)
				lists = lists || e.typ == typ
			}
		}
	}
	return lists && writes
}

// idDomain returns what is known of an id, or of the ids of a list; nil when nothing is.
func idDomain(t formula.Type) *formula.Domain {
	if t.Kind == formula.List && t.Elem != nil {
		t = *t.Elem
	}
	return t.Domain
}

// otherID reports whether an id is that of another kind of entity.
func otherID(t formula.Type, about engine.About) bool {
	d := idDomain(t)
	return d != nil && d.IDOf != 0 && d.IDOf != about.TypeID
}
