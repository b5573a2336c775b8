package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// checkConflicts reports steps that write the same records. across selects the pairs
// in different files; otherwise it reports the pairs inside one file.
func checkConflicts(sets []*Summary, across bool) diag.List {
	var list diag.List
	type records struct {
		kind engine.TouchKind
		of   string
	}
	groups := map[records][]*effect{}
	var order []records
	for _, s := range sets {
		for _, r := range s.rules {
			for _, e := range r.effects {
				if e.of == "" || e.Which == "" {
					continue
				}
				key := records{e.Kind, e.of}
				if groups[key] == nil {
					order = append(order, key)
				}
				groups[key] = append(groups[key], e)
			}
		}
	}
	for _, key := range order {
		group := groups[key]
		for i, b := range group {
			// Each step is reported once, with the nearest step before it.
			for _, a := range slices.Backward(group[:i]) {
				if across != (a.rule.set != b.rule.set) || !overlaps(a, b) {
					continue
				}
				if f, ok := conflict(a, b); ok {
					list.Add(f)
					break
				}
			}
		}
	}
	return list
}

// overlaps reports whether two steps can both run for one entity.
func overlaps(a, b *effect) bool {
	return (a.step != b.step || a.rule != b.rule) && a.deleted == b.deleted && share(a.rule.portals, b.rule.portals) && !exclusive(a.step.conditions, b.step.conditions)
}

// exclusive reports whether one condition is the opposite of another: x and
// !x, or one thing equal to two literals.
func exclusive(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == "!"+y || y == "!"+x {
				return true
			}
			xl, xr, xok := strings.Cut(x, " == ")
			yl, yr, yok := strings.Cut(y, " == ")
			if xok && yok && xl == yl && xr != yr && literalText(xr) && literalText(yr) {
				return true
			}
		}
	}
	return false
}

// literalText reports whether a text is the canonical text of a literal, with or
// without a closing bracket.
func literalText(s string) bool {
	s = strings.TrimSuffix(s, ")")
	return s != "" && (s[0] == '"' || s[0] == '-' || s[0] >= '0' && s[0] <= '9')
}

// conflict returns what is wrong when both a and b run. b is the later step.
func conflict(a, b *effect) (diag.Finding, bool) {
	switch {
	case a.Syncs && b.Syncs:
		return scopeConflict(a, b)
	case a.Kind == engine.TouchElements && a.Adds && b.Adds && !a.Syncs && !b.Syncs:
		// Steps of one rule run one after another, and each keeps the other's fields.
		if a.rule != b.rule && a.rule.owner == b.rule.owner && a.same(b) {
			return b.finding(diag.Warning, "same-element", b.whichAt,
				"%s writes the same element: both have the owner %q and the same key", b.nameOf(a), b.rule.owner), true
		}
	case a.rule != b.rule && a.Kind == engine.TouchItems && a.Adds && b.Adds && a.sameEvent(b) && a.same(b):
		return b.finding(diag.Warning, "same-item", b.whichAt,
			"%s keeps an item with the same key: both may add it, and each overwrites the other", b.nameOf(a)), true
	case a.Kind == engine.TouchItems && a.Updates && b.Updates:
		if name := contested(a, b); name != "" && fight(a, b, name) {
			return b.finding(diag.Warning, "contested-field", b.fieldsAt,
				"%s sets the field %s to another value: each overwrites the other, without end if they subscribe to the change", b.nameOf(a), name), true
		}
	}
	return diag.Finding{}, false
}

func scopeConflict(a, b *effect) (diag.Finding, bool) {
	if !sameScope(a, b) {
		return diag.Finding{}, false
	}
	if a.rule.owner == b.rule.owner {
		f := b.finding(diag.Error, "same-scope", b.whichAt,
			"%s syncs the same scope under the same owner %q: each step would delete the elements of the other", b.nameOf(a), b.rule.owner)
		f.Hint = "set another owner on one of the rules, or sync all rows in one step"
		return f, true
	}
	f := b.finding(diag.Warning, "shared-scope", b.whichAt,
		"%s syncs the same scope under the owner %q: the list will hold the elements of both", b.nameOf(a), a.rule.owner)
	f.Hint = "add a property to the scopes that tells them apart"
	return f, true
}

// sameScope reports whether two scopes may hold the same elements: one scope names all
// properties of the other, and no property has two different values.
func sameScope(a, b *effect) bool {
	x, y := a.keyFields, b.keyFields
	if len(x) > len(y) {
		x, y = y, x
	}
	return !slices.ContainsFunc(x, func(v namedText) bool {
		w, both := y.text(v.name)
		return !both || v.text != w && isFixed(v.text) && isFixed(w)
	})
}

func isFixed(text string) bool { return text != "" && (text[0] == '#' || text[0] == '\'') }

// same reports whether both certainly write the same element or item.
func (e *effect) same(o *effect) bool {
	return e.which() != "" && e.which() == o.which()
}

// which is a text that is equal for equal values of the argument Which; "" when
// its value is not known.
func (e *effect) which() string {
	if len(e.keyFields) == 0 {
		return e.key
	}
	var parts []string
	for _, x := range e.keyFields {
		if x.text == "" {
			return ""
		}
		parts = append(parts, fmt.Sprintf("%q: %q", x.name, x.text))
	}
	return strings.Join(parts, ", ")
}

// sameEvent reports whether one event can start both rules.
func (e *effect) sameEvent(o *effect) bool {
	if e.rule == o.rule {
		return true
	}
	return slices.ContainsFunc(e.rule.triggers, func(t trigger) bool {
		return slices.ContainsFunc(o.rule.triggers, func(u trigger) bool {
			return t.entity == u.entity && t.entityTypeID == u.entityTypeID && (t.code == u.code || t.entity != "")
		})
	})
}

// contested is a field that two steps give different values.
func contested(a, b *effect) string {
	if a.setsRows && b.setsRows {
		if a.rows == "" || a.rows != b.rows {
			return "rows"
		}
		return ""
	}
	var names []string
	for _, v := range a.values {
		if w, both := b.values.text(v.name); both && v.name != "" && v.text != w && isFixed(v.text) && isFixed(w) {
			names = append(names, strings.TrimPrefix(v.name, "'"))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// nameOf names another step in a message about this one.
func (e *effect) nameOf(o *effect) diag.Phrase {
	switch {
	case e.rule == o.rule:
		return diag.Phrasef("the %s on line %d", o.step.action, o.step.line)
	case e.rule.set == o.rule.set:
		return diag.Phrasef("rule %s (line %d)", o.rule.id, o.step.line)
	}
	return diag.Phrasef("rule %s (%s:%d)", o.rule.id, o.rule.set.file, o.step.line)
}

// finding returns a finding at a place of the step.
func (e *effect) finding(s diag.Severity, code string, at place, format string, args ...any) diag.Finding {
	var l diag.List
	f := at.mark(l.Warnf(at.Pos, code, format, args...))
	f.Severity = s
	return *f
}
