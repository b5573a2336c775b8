package lint

import (
	"slices"

	"github.com/b24rules/b24rules/schemas"
)

// fight reports whether two steps that set a field to different values certainly write
// the same items again and again.
func fight(a, b *effect, field string) bool {
	if a.step.remembers && b.step.remembers || asks(a, field) || asks(b, field) {
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
	case len(a.step.conditions) == 0 && len(b.step.conditions) == 0:
		return true
	case !sameCode(a, b) || a.step.remembers || b.step.remembers || x == nil || y == nil:
		return false
	}
	return len(x) == 0 || len(y) == 0 || x.overlap(y)
}

// writesEach reports whether the step writes the item of each change event of its type.
func writesEach(e *effect) bool {
	return e.rule.takes(e.typ, schemas.OpUpdate) && e.which() == `=event["id"]` && len(e.step.conditions) == 0 && !e.step.remembers && !e.step.forEach
}

// among reports whether the step writes any items of the type, such as those that a step
// has found, or those of a schedule.
func among(e *effect) bool {
	switch about := e.rule.about; {
	case e.step.conditional || e.step.remembers:
		return false
	case e.step.forEach:
		return e.ownLoop
	default:
		return about != nil && len(e.rule.triggers) == 0 && about.TypeID == e.typ && e.which() == `=event["id"]`
	}
}

// asks reports whether a condition of the step or the rule reads the field, or whether
// the entity is new.
func asks(e *effect, field string) bool {
	return e.step.reads(field) || slices.Contains(e.step.asks, "event.added")
}

// sameCode reports whether one event starts both rules.
func sameCode(e, o *effect) bool {
	return slices.ContainsFunc(e.rule.triggers, func(t trigger) bool {
		return slices.ContainsFunc(o.rule.triggers, func(u trigger) bool { return t.code == u.code && t.entityTypeID == u.entityTypeID })
	})
}
