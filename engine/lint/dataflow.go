package lint

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// flow follows values through a rule and from one rule to another.
type flow struct {
	*engine.Origins
	rule *engine.Rule
}

func newFlow(r *engine.Rule) *flow { return &flow{engine.NewOrigins(r), r} }

// depends reports whether a value depends on the run, and not only on the file and its
// inputs.
func (f *flow) depends(v *engine.Value) bool {
	out := false
	f.Sources(v, func(p string) {
		name := engine.PathPrefix(p, 1)
		out = out || name != engine.NameInputs && name != engine.NameVars && f.Computed[name] == nil
	})
	return out
}

// grows reports whether an effect adds new items in every run: it adds without a key,
// or its key depends on the run.
func (e *effect) grows() bool {
	if e.Which == "" {
		return true
	}
	f := newFlow(e.rule)
	return slices.ContainsFunc(e.entries(e.Which), func(x *engine.FieldEntry) bool { return f.depends(x.Value) })
}

// keepsGoing says why an effect writes again when the event of that write arrives.
// The phrase is empty when the effect finds nothing to write.
func (f *flow) keepsGoing(e *effect, op string) diag.Phrase {
	switch {
	case op == schemas.OpDelete:
		return diag.Phrase{} // no record is deleted twice
	case op == schemas.OpAdd && e.Which == "":
		return diag.Phrasef("the step adds an item without checking whether it exists")
	case op == schemas.OpAdd:
		return diag.Phrase{} // the second pass finds it by its key
	case e.step.Entered != nil || e.step.At != nil:
		return diag.Phrase{} // the condition stays true, and the time is the same
	case e.step.Once != nil && f.varying(e, e.step.Once).Empty():
		return diag.Phrase{}
	case !e.Compares && e.step.Once != nil:
		return diag.Phrasef("once is computed from %s, which differs in every pass", f.varying(e, e.step.Once))
	case !e.Compares:
		return diag.Phrasef("%s writes even when nothing differs", e.step.Action.Name)
	}
	for _, x := range e.entries(e.Fields) {
		if why := f.unstable(e, x); !why.Empty() {
			return why
		}
	}
	return f.growing(e)
}

// growing says that a step makes a list longer in each pass, because it adds to what it has read.
// The phrase is empty when it does not.
func (f *flow) growing(e *effect) diag.Phrase {
	v, base := e.rows(), ""
	if v == nil || v.Formula == nil {
		return diag.Phrase{}
	}
	vars := map[string]any{engine.NameVars: f.fixed(engine.NameVars), engine.NameInputs: f.fixed(engine.NameInputs)}
	for _, p := range v.Formula.Paths() {
		name := engine.PathPrefix(p, 1)
		switch s := f.Fetched[name]; {
		case vars[name] != nil:
		case s != nil && p == name && s.Effect() == engine.Reads && f.reads(s, e) && (base == "" || base == name):
			base = name
		default:
			formula.SetPath(vars, p, num.FromInt(5))
		}
	}
	guarded := base == ""
	for _, c := range []*engine.Value{e.step.When, e.rule.When} {
		f.Sources(c, func(p string) { guarded = guarded || engine.PathPrefix(p, 1) == base })
	}
	if guarded {
		return diag.Phrase{}
	}
	m := formula.NewMachine(context.Background())
	var rows any = []any{}
	for size, pass := 0, 0; pass < 3; pass++ {
		vars[base] = rows
		next, err := v.Formula.Eval(m, vars)
		list, isList := next.([]any)
		if err != nil || !isList || len(list) <= size {
			return diag.Phrase{}
		}
		rows, size = next, len(list)
	}
	return diag.Phrasef("each pass adds to the rows that it has read")
}

// unstable says why a field gets another value in each pass. The phrase is empty when
// it does not.
func (f *flow) unstable(e *effect, x *engine.FieldEntry) diag.Phrase {
	name := e.fieldName(x)
	if what := f.varying(e, x.Value); !what.Empty() {
		return diag.Phrasef("%s is computed from %s, which differs in every pass", cmp.Or(name, "a field"), what)
	}
	if name == "" || !f.readsField(e, x.Value, name) || f.guarded(e, name) || f.repeats(x.Value, name) {
		return diag.Phrase{}
	}
	return diag.Phrasef("%s is computed from itself", name)
}

// varying names what differs from pass to pass while no person changes data: the time of
// the event, or what every write of e changes. The phrase is empty when nothing does.
func (f *flow) varying(e *effect, v *engine.Value) diag.Phrase {
	var out diag.Phrase
	f.Sources(v, func(p string) {
		switch p {
		case "event.time":
			if f.fineTime(v, 0) {
				out = diag.Phrasef("%s", p)
			}
		case "event.count":
			out = diag.Phrasef("%s", p)
		case engine.NameEvent:
			out = diag.Phrasef("the whole event")
		}
		name, field, _ := strings.Cut(p, ".")
		if s := f.Fetched[name]; s != nil && schemas.ChangesWithEachEdit(field) && f.reads(s, e) && !coarse(v) {
			out = diag.Phrasef("%s", p)
		}
	})
	return out
}

// fineTime reports whether a value depends on the time of the event in more than its day: itself, or
// by a computed value or the arguments of a step.
func (f *flow) fineTime(v *engine.Value, depth int) bool {
	if depth > 8 {
		return true
	}
	out := false
	v.Paths(func(p string) {
		name := engine.PathPrefix(p, 1)
		switch {
		case p == "event.time":
			out = out || !daily(v)
		case f.Computed[name] != nil:
			out = out || f.fineTime(f.Computed[name], depth+1)
		case f.Fetched[name] != nil:
			selecting := selects(f.Fetched[name])
			f.Fetched[name].EachValue(func(v *engine.Value) { out = out || !selecting[v] && f.fineTime(v, depth+1) })
		}
	})
	return out
}

// selects returns the values with which a step selects the records that it reads. When such a value
// is a time, a later pass finds the same records, unless the time of one of them has come.
func selects(s *engine.Step) map[*engine.Value]bool {
	out := map[*engine.Value]bool{}
	for _, t := range s.Touches() {
		if !t.Reads {
			continue
		}
		entries, _ := s.Types.Part(t.Which)
		for _, x := range entries {
			out[x.Value] = true
		}
	}
	return out
}

// eventTime finds the time of the event, and dailyTime its parts that stay the same for a day.
var (
	eventTime = regexp.MustCompile(`\bevent\.time\b`)
	dailyTime = regexp.MustCompile(`\b(?:(?:yearOf|monthOf|dayOf|weekdayOf|isWorkday|daysBetween|workdaysBetween)\([^()]*\bevent\.time\b|formatDate\(\s*event\.time\s*,\s*(?:"[^"Hhms]*"|'[^'Hhms]*'))`)
)

// daily reports whether a value uses only the day of the time of the event.
func daily(v *engine.Value) bool {
	text := ""
	if v.Node != nil {
		text = v.Node.Value
	}
	return text != "" && len(eventTime.FindAllString(text, -1)) == len(dailyTime.FindAllString(text, -1))
}

// coarseParts are functions that give the same value for many times.
var coarseParts = regexp.MustCompile(`\b(formatDate|yearOf|monthOf|dayOf|weekdayOf|hourOf|daysBetween|isWorkday|workdaysBetween)\(`)

// coarse reports whether a value uses only a part of a time, such as its day.
func coarse(v *engine.Value) bool {
	return v.Node != nil && coarseParts.MatchString(v.Node.Value)
}

// readsField reports whether a value depends on a field of the items that e writes, as
// a step has read them.
func (f *flow) readsField(e *effect, v *engine.Value, field string) bool {
	out := false
	f.Sources(v, func(p string) {
		s := f.Fetched[engine.PathPrefix(p, 1)]
		if s == nil || s.Effect() != engine.Reads || !f.reads(s, e) {
			return
		}
		_, rest, whole := strings.Cut(p, ".")
		if engine.PathPrefix(rest, 1) == field || !whole && mentions(v, field) {
			out = true
		}
	})
	return out
}

// passesOn reports whether the values of e depend on what before wrote. changed is a
// value that differs from the field that it reads even in a second pass. It is nil
// when each value repeats what it reads.
func (f *flow) passesOn(e, before *effect) (depends bool, changed *yaml.Node) {
	if e.step.Remembers {
		return false, nil
	}
	for _, x := range e.entries(e.Fields) {
		for _, w := range before.entries(before.Fields) {
			name := before.fieldName(w)
			if name == "" || !f.readsField(before, x.Value, name) {
				continue
			}
			if f.guarded(e, name) {
				return false, nil
			}
			depends = true
			if changed == nil && !f.repeats(x.Value, name) {
				changed = x.Value.Node
			}
		}
	}
	return depends, changed
}

// mentions looks for the field in the source of a formula. No path shows fields of a
// list's elements.
func mentions(v *engine.Value, field string) bool {
	return v.Formula != nil && strings.Contains(v.Formula.Source(), "."+field)
}

// reads reports whether a step reads items of the type that e writes.
func (f *flow) reads(s *engine.Step, e *effect) bool {
	return slices.ContainsFunc(s.Touches(), func(t engine.Touch) bool {
		r := effect{Touch: t, rule: f.rule, step: s}
		r.resolve(nil)
		return t.Reads && r.of != "" && r.of == e.of
	})
}

// guarded reports whether a condition of the step or the rule reads the field. Such a
// condition is assumed to end the cycle.
func (f *flow) guarded(e *effect, field string) bool {
	out := false
	for _, v := range []*engine.Value{e.step.When, e.rule.When} {
		f.Sources(v, func(p string) { out = out || strings.HasSuffix(p, "."+field) })
	}
	return out
}

// repeats reports whether a formula of one field returns its own result when that
// result is its input. round(deal.opportunity, 2) does.
func (f *flow) repeats(v *engine.Value, field string) bool {
	if v.Formula == nil {
		return false
	}
	base := ""
	vars := map[string]any{engine.NameVars: f.fixed(engine.NameVars), engine.NameInputs: f.fixed(engine.NameInputs)}
	var others []string // what else it reads
	for _, p := range v.Formula.Paths() {
		name, rest, _ := strings.Cut(p, ".")
		if _, constant := vars[name]; constant {
			continue
		}
		switch {
		case rest != field:
			others = append(others, p)
		case base != "" && base != name:
			return false
		default:
			base = name
		}
	}
	if base == "" {
		return false
	}
	m := formula.NewMachine(context.Background())
	var other any
	apply := func(x any) (any, bool) {
		for _, p := range others {
			formula.SetPath(vars, p, other)
		}
		formula.SetPath(vars, base+"."+field, x)
		out, err := v.Formula.Eval(m, vars)
		return out, err == nil
	}
	if len(others) == 0 {
		return stays(apply)
	}
	worked := false
	for _, other = range []any{num.FromInt(5), "x", "2026-05-02", true, []any{num.FromInt(5)}} {
		if holds, ran := staysFor(apply); ran && !holds {
			return false
		} else if ran {
			worked = true
		}
	}
	return worked
}

// stays reports whether a function returns its own result when that result is its input.
func stays(apply func(any) (any, bool)) bool {
	holds, ran := staysFor(apply)
	return holds && ran
}

// staysFor is stays. ran is false if the function takes none of the values that are tried.
func staysFor(apply func(any) (any, bool)) (holds, ran bool) {
	for _, x := range []any{num.MustParse("0"), num.MustParse("-7.125"), num.MustParse("1234567.891"), "", " Straße X ", "new:WON", "1500.555|RUB", true, nil, []any{}, []any{num.FromInt(7), num.FromInt(7), num.FromInt(12)}} {
		once, ok := apply(x)
		if !ok {
			continue
		}
		ran = true
		if once == formula.Omitted {
			continue // nothing is written
		}
		if twice, ok := apply(once); !ok || !sameValue(once, twice) {
			return false, true
		}
	}
	return true, ran
}

// fixed are the vars or inputs whose values are known before any run.
func (f *flow) fixed(space string) map[string]any {
	out := map[string]any{}
	for _, n := range f.rule.Set.Vars {
		if x, ok := n.Value.Const(); ok && space == engine.NameVars {
			out[n.Name] = x
		}
	}
	for _, in := range f.rule.Set.Inputs {
		if in.HasDefault && space == engine.NameInputs {
			out[in.Name] = in.Default
		}
	}
	return out
}

func sameValue(a, b any) bool {
	x, xNum := a.(num.Num)
	y, yNum := b.(num.Num)
	if xNum && yNum {
		return x.Equal(y)
	}
	switch a.(type) {
	case nil, bool, string:
		return a == b
	}
	l, isList := a.([]any)
	r, both := b.([]any)
	return isList && both && slices.EqualFunc(l, r, sameValue)
}

// blame is the node that makes a cycle continue: the value of a field, or the step.
func (e *effect) blame() *yaml.Node {
	f := newFlow(e.rule)
	for _, x := range e.entries(e.Fields) {
		if !f.unstable(e, x).Empty() {
			return x.Value.Node
		}
	}
	return e.node()
}

// hintWayOut says in the hint of a finding how to end a cycle. onlyAdds says that each
// link of the cycle adds items.
func (e *effect) hintWayOut(f *diag.Finding, onlyAdds bool) {
	switch {
	case e.Kind == engine.TouchRule:
		f.Hint = "give a start entered, once or at, so that it runs only after a change"
	case onlyAdds && slices.ContainsFunc(e.rule.Triggers, func(t engine.Trigger) bool { return t.Entity == "item" && t.EntityTypeID == 0 }):
		f.Hint = "add entityTypeId to on"
	case onlyAdds && e.Kind == engine.TouchOther:
		f.Hint = "give the step a when that excludes what the rule itself adds"
	case onlyAdds && e.Which == "":
		f.Hintf("use %s: it finds an item before it adds one", e.action(func(t engine.Touch) bool { return t.Adds && t.Which != "" && !t.Deletes }))
	case onlyAdds:
		f.Hint = "add items of another type, or give the step a when that excludes its own items"
	case !e.Compares && e.Updates:
		f.Hintf("use %s: it writes only what differs; or add once", e.action(func(t engine.Touch) bool { return t.Updates && t.Compares && !t.Adds }))
	default:
		f.Hint = "give the step a when that is false the second time, or once"
	}
}

// action names an action for items whose touch is suitable.
func (e *effect) action(suitable func(engine.Touch) bool) diag.Phrase {
	for _, a := range e.rule.Set.Actions {
		if a.Touches != nil && slices.ContainsFunc(a.Touches(engine.NewArgTypes()), func(t engine.Touch) bool {
			return t.Kind == engine.TouchItems && suitable(t)
		}) {
			return diag.Phrasef("%s", a.Name)
		}
	}
	return diag.Phrasef("an action")
}
