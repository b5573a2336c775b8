package lint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// flow follows values through a rule and from one rule to another.
type flow struct {
	*engine.Origins
	rule *engine.Rule
}

func newFlow(r *engine.Rule) *flow { return &flow{engine.NewOrigins(r), r} }

// depends reports whether a value comes from what the run is about, and not
// from the file and its inputs alone.
func (f *flow) depends(v *engine.Value) bool {
	out := false
	f.Sources(v, func(p string) {
		name := engine.PathPrefix(p, 1)
		out = out || name != engine.NameInputs && name != engine.NameVars && f.Computed[name] == nil
	})
	return out
}

// grows reports whether the items that an effect adds are new ones in every
// run: added without a key, or found by a key that depends on the run.
func (e *effect) grows() bool {
	if e.Which == "" {
		return true
	}
	f := newFlow(e.rule)
	return slices.ContainsFunc(e.entries(e.Which), func(x *engine.FieldEntry) bool { return f.depends(x.Value) })
}

// keepsGoing tells why an effect writes again when its echo comes back, "" when
// it does not.
func (f *flow) keepsGoing(e *effect, op string) string {
	switch {
	case op == schemas.OpDelete:
		return "" // nothing is deleted twice
	case op == schemas.OpAdd && e.Which == "":
		return "an item is added without looking whether it is there"
	case op == schemas.OpAdd:
		return "" // found by its key the second time
	case e.step.Once != nil && f.stirred(e, e.step.Once) == "":
		return ""
	case !e.Compares:
		return fmt.Sprintf("%s writes even what is as it should be", e.step.Action.Name)
	}
	for _, x := range e.entries(e.Fields) {
		if why := f.unstable(e, x); why != "" {
			return why
		}
	}
	return ""
}

// unstable tells why a field gets another value in each pass.
func (f *flow) unstable(e *effect, x *engine.FieldEntry) string {
	if why := f.stirred(e, x.Value); why != "" {
		return fmt.Sprintf("%s is computed from %s", fieldName(x), why)
	}
	name, ok := x.Key.Literal.(string)
	if !ok || !f.readsField(e, x.Value, name) || f.guarded(e, name) || f.repeats(x.Value, name) {
		return ""
	}
	return fmt.Sprintf("%s is computed from itself", name)
}

func fieldName(x *engine.FieldEntry) string {
	if name, ok := x.Key.Literal.(string); ok {
		return name
	}
	return "a field"
}

// stirred names what changes from pass to pass though nobody changes anything.
func (f *flow) stirred(_ *effect, v *engine.Value) string {
	out := ""
	f.Sources(v, func(p string) {
		switch p {
		case "event.time", "event.count":
			out = p + ", which differs in every pass"
		case engine.NameEvent:
			out = "the whole event, which differs in every pass"
		}
	})
	return out
}

// readsField reports whether a value depends on a field of the items that e
// writes, as they were read.
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

// passesOn reports whether what e writes depends on what an effect before it
// wrote. changed is the value that does not pass it on as it is, or in a way that
// a second pass does not change; nil when there is none.
func (f *flow) passesOn(e, before *effect) (carries bool, changed *yaml.Node) {
	if e.step.Once != nil {
		return false, nil
	}
	for _, x := range e.entries(e.Fields) {
		for _, w := range before.entries(before.Fields) {
			name, ok := w.Key.Literal.(string)
			if !ok || !f.readsField(before, x.Value, name) {
				continue
			}
			if f.guarded(e, name) {
				return false, nil
			}
			carries = true
			if changed == nil && !f.repeats(x.Value, name) {
				changed = x.Value.Node
			}
		}
	}
	return carries, changed
}

// mentions looks for a field of a list's elements, which no path shows.
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

// guarded reports whether a condition of the step or rule looks at the field:
// it is taken for one that keeps a second pass out.
func (f *flow) guarded(e *effect, field string) bool {
	out := false
	for _, v := range []*engine.Value{e.step.When, e.rule.When} {
		f.Sources(v, func(p string) { out = out || strings.HasSuffix(p, "."+field) })
	}
	return out
}

// repeats reports whether a formula of one field gives its own result again
// when it is fed with it: round(deal.opportunity, 2) does.
func (f *flow) repeats(v *engine.Value, field string) bool {
	if v.Formula == nil {
		return false
	}
	base := ""
	for _, p := range v.Formula.Paths() {
		name, rest, _ := strings.Cut(p, ".")
		if rest != field || base != "" {
			return false
		}
		base = name
	}
	m := formula.NewMachine(context.Background())
	apply := func(x any) (any, bool) {
		out, err := v.Formula.Eval(m, map[string]any{base: map[string]any{field: x}})
		return out, err == nil
	}
	worked := false
	for _, x := range []any{num.MustParse("0"), num.MustParse("-7.125"), num.MustParse("1234567.891"), "", " Straße X ", "new:WON", true, nil} {
		once, ok := apply(x)
		if !ok {
			continue
		}
		worked = true
		if twice, ok := apply(once); !ok || !sameValue(once, twice) {
			return false
		}
	}
	return worked
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
	return false
}

// blame is the node that keeps a ring going: the field's value, or the step.
func (e *effect) blame() *yaml.Node {
	f := newFlow(e.rule)
	for _, x := range e.entries(e.Fields) {
		if f.unstable(e, x) != "" {
			return x.Value.Node
		}
	}
	return e.node()
}

// wayOut hints at what ends a ring; births says that it is one of new items
// only.
func (e *effect) wayOut(births bool) string {
	switch {
	case births && slices.ContainsFunc(e.rule.Triggers, func(t engine.Trigger) bool { return t.Entity == "item" && t.EntityTypeID == 0 }):
		return "name the entityTypeId in on"
	case births && e.Which == "":
		return useInstead(e, "which finds an item before it adds one", func(t engine.Touch) bool { return t.Adds && t.Which != "" && !t.Deletes })
	case births:
		return "add items of another type, or give the step a when that keeps its own items out"
	case !e.Compares && e.Updates:
		return useInstead(e, "which writes only what differs, or once", func(t engine.Touch) bool { return t.Updates && t.Compares && !t.Adds })
	}
	return "give the step a when that is false the second time, or once"
}

// useInstead hints at an action for items whose touch is suitable.
func useInstead(e *effect, which string, suitable func(engine.Touch) bool) string {
	for _, a := range e.rule.Set.Actions {
		if a.Touches != nil && slices.ContainsFunc(a.Touches(engine.NewArgTypes()), func(t engine.Touch) bool {
			return t.Kind == engine.TouchItems && suitable(t)
		}) {
			return "use " + a.Name + ", " + which
		}
	}
	return "use an action " + which
}
