package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// checkConflicts reports steps that write the same records. across selects the pairs
// in different files; otherwise it reports the pairs inside one file.
func checkConflicts(sets []*engine.RuleSet, across bool) diag.List {
	var list diag.List
	groups := map[string][]*effect{}
	var order []string
	for _, s := range sets {
		for _, r := range s.Rules {
			for _, e := range effectsOf(r, nil) {
				if e.of == "" || e.Which == "" {
					continue
				}
				key := fmt.Sprint(e.Kind, e.of)
				if groups[key] == nil {
					order = append(order, key)
				}
				groups[key] = append(groups[key], &e)
			}
		}
	}
	for _, key := range order {
		group := groups[key]
		for i, b := range group {
			// Each step is reported once, with the nearest step before it.
			for _, a := range slices.Backward(group[:i]) {
				if across != (a.rule.Set != b.rule.Set) || !overlaps(a, b) {
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
	return (a.step != b.step || a.rule != b.rule) && a.deleted == b.deleted && share(a.rule.Portals, b.rule.Portals) && !exclusive(a.conditions(), b.conditions())
}

func (e *effect) conditions() []string {
	return append(e.rule.When.Conjuncts(), e.step.When.Conjuncts()...)
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
		if a.rule != b.rule && a.rule.Owner == b.rule.Owner && a.same(b) {
			return b.finding(diag.Warning, "same-element", b.Which,
				"%s writes the same element: both have the owner %q and the same key", b.nameOf(a), b.rule.Owner), true
		}
	case a.rule != b.rule && a.Kind == engine.TouchItems && a.Adds && b.Adds && a.sameEvent(b) && a.same(b):
		return b.finding(diag.Warning, "same-item", b.Which,
			"%s keeps an item with the same key: both may add it, and each overwrites the other", b.nameOf(a)), true
	case a.Kind == engine.TouchItems && a.Updates && b.Updates:
		if name := contested(a, b); name != "" && fight(a, b, name) {
			return b.finding(diag.Warning, "contested-field", cmp.Or(b.Fields, "rows"),
				"%s sets the field %s to another value: each overwrites the other, without end if they subscribe to the change", b.nameOf(a), name), true
		}
	}
	return diag.Finding{}, false
}

func scopeConflict(a, b *effect) (diag.Finding, bool) {
	if !sameScope(a, b) {
		return diag.Finding{}, false
	}
	if a.rule.Owner == b.rule.Owner {
		f := b.finding(diag.Error, "same-scope", b.Which,
			"%s syncs the same scope under the same owner %q: each step would delete the elements of the other", b.nameOf(a), b.rule.Owner)
		f.Hint = "set another owner on one of the rules, or sync all rows in one step"
		return f, true
	}
	f := b.finding(diag.Warning, "shared-scope", b.Which,
		"%s syncs the same scope under the owner %q: the list will hold the elements of both", b.nameOf(a), a.rule.Owner)
	f.Hint = "add a property to the scopes that tells them apart"
	return f, true
}

// sameScope reports whether two scopes may hold the same elements: one scope names all
// properties of the other, and no property has two different values.
func sameScope(a, b *effect) bool {
	x, y := a.texts(a.Which), b.texts(b.Which)
	if len(x) > len(y) {
		x, y = y, x
	}
	for name, v := range x {
		w, both := y[name]
		if !both || v != w && isFixed(v) && isFixed(w) {
			return false
		}
	}
	return true
}

func isFixed(text string) bool { return text != "" && (text[0] == '#' || text[0] == '\'') }

// texts are the comparable texts of an argument's names and values.
func (e *effect) texts(arg string) map[string]string {
	if out, ok := e.argTexts[arg]; ok {
		return out
	}
	out := map[string]string{}
	for _, x := range e.entries(arg) {
		name := textOf(e.rule, x.Key, nil)
		if known := e.fieldName(x); known != "" {
			name = "'" + known
		}
		out[name] = textOf(e.rule, x.Value, nil)
	}
	if e.argTexts == nil {
		e.argTexts = map[string]map[string]string{}
	}
	e.argTexts[arg] = out
	return out
}

// same reports whether both certainly write the same element or item.
func (e *effect) same(o *effect) bool {
	return e.which() != "" && e.which() == o.which()
}

// which is a text that is equal for equal values of the argument Which; "" when
// its value is not known.
func (e *effect) which() string {
	if e.whichText == nil {
		text := e.whichOnce()
		e.whichText = &text
	}
	return *e.whichText
}

func (e *effect) whichOnce() string {
	entries, value := e.step.Types.Part(e.Which)
	if entries == nil {
		return textOf(e.rule, value, nil)
	}
	texts := e.texts(e.Which)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if texts[name] == "" {
			return ""
		}
		parts = append(parts, fmt.Sprintf("%q: %q", name, texts[name]))
	}
	return strings.Join(parts, ", ")
}

// sameEvent reports whether one event can start both rules.
func (e *effect) sameEvent(o *effect) bool {
	if e.rule == o.rule {
		return true
	}
	for _, t := range e.rule.Triggers {
		for _, u := range o.rule.Triggers {
			if t.Entity == u.Entity && t.EntityTypeID == u.EntityTypeID && (t.Code == u.Code || t.Entity != "") {
				return true
			}
		}
	}
	return false
}

// contested is a field that two steps give different values.
func contested(a, b *effect) string {
	if r, o := a.rows(), b.rows(); r != nil && o != nil {
		if textOf(a.rule, r, nil) == "" || textOf(a.rule, r, nil) != textOf(b.rule, o, nil) {
			return "rows"
		}
		return ""
	}
	x, y := a.texts(a.Fields), b.texts(b.Fields)
	var names []string
	for name, v := range x {
		if w, both := y[name]; both && name != "" && v != w && isFixed(v) && isFixed(w) {
			names = append(names, strings.TrimPrefix(name, "'"))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// rows is the value of all product rows that a step sets; nil for a step that sets fields.
func (e *effect) rows() *engine.Value {
	a := e.step.Types.Arg("rows")
	if e.Fields != "" || !e.Updates || a == nil {
		return nil
	}
	return a.Value
}

// nameOf names another step in a message about this one.
func (e *effect) nameOf(o *effect) diag.Phrase {
	switch {
	case e.rule == o.rule:
		return diag.Phrasef("the %s on line %d", o.step.Action.Name, o.step.Pos.Line)
	case e.rule.Set == o.rule.Set:
		return diag.Phrasef("rule %s (line %d)", o.rule.ID, o.step.Pos.Line)
	}
	return diag.Phrasef("rule %s (%s:%d)", o.rule.ID, o.rule.Set.File, o.step.Pos.Line)
}

// finding returns a finding at an argument of the step.
func (e *effect) finding(s diag.Severity, code, arg, format string, args ...any) diag.Finding {
	n := e.step.Verb
	name, _, _ := strings.Cut(arg, ".")
	if a := e.step.Types.Arg(name); a != nil {
		switch {
		case a.Value != nil:
			n = a.Value.Node
		case a.Key != nil:
			n = a.Key
		}
	}
	file := e.rule.Set.Source
	var l diag.List
	f := l.Warnf(file.Pos(n), code, format, args...)
	f.Severity = s
	return *file.WithEnd(n, f)
}
