package lint

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// fight reports whether two steps that set a field to different values certainly write
// the same items again and again.
func fight(a, b *effect, field string) bool {
	if a.step.Remembers && b.step.Remembers || asks(a, field) || asks(b, field) {
		return false
	}
	switch {
	case a.rule != b.rule && (writesEach(a) && among(b) || writesEach(b) && among(a)):
		return true // each change of an item brings the value of the first back
	case !a.same(b) || !a.sameEvent(b):
		return false
	}
	x, y := rangesOf(a), rangesOf(b)
	switch {
	case len(a.conditions()) == 0 && len(b.conditions()) == 0:
		return true
	case !sameCode(a, b) || a.step.Remembers || b.step.Remembers || x == nil || y == nil:
		return false
	}
	return len(x) == 0 || len(y) == 0 || x.overlap(y)
}

// writesEach reports whether the step writes the item of each change event of its type.
func writesEach(e *effect) bool {
	_, all := subscribesTo(e.rule, e.typ, schemas.OpUpdate)
	return all && e.which() == `=event["id"]` && len(e.conditions()) == 0 && !e.step.Remembers && e.step.ForEach == nil
}

// among reports whether the step writes any items of the type, such as those that a step
// has found, or those of a schedule.
func among(e *effect) bool {
	if e.step.When != nil || e.step.Remembers {
		return false
	}
	if e.step.ForEach == nil {
		about, ok := e.rule.Subject()
		return ok && len(e.rule.Triggers) == 0 && about.TypeID == e.typ && e.which() == `=event["id"]`
	}
	f, found := newFlow(e.rule), false
	e.step.ForEach.Paths(func(p string) {
		s := f.Fetched[engine.PathPrefix(p, 1)]
		found = found || s != nil && f.reads(s, e)
	})
	return found
}

// asks reports whether a condition of the step or the rule reads the field, or whether
// the entity is new.
func asks(e *effect, field string) bool {
	f, out := newFlow(e.rule), false
	for _, v := range []*engine.Value{e.step.When, e.rule.When} {
		f.Sources(v, func(p string) { out = out || strings.HasSuffix(p, "."+field) || p == "event.added" })
	}
	return out
}

// sameCode reports whether one event starts both rules.
func sameCode(e, o *effect) bool {
	return slices.ContainsFunc(e.rule.Triggers, func(t engine.Trigger) bool {
		return slices.ContainsFunc(o.rule.Triggers, func(u engine.Trigger) bool { return t.Code == u.Code && t.EntityTypeID == u.EntityTypeID })
	})
}
