package inportal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/schemas"
)

// listOf returns what the snapshot says of the list of a step. id is 0 when only a
// run knows the list, and the list is nil when the portal does not have it or nothing is
// known.
func listOf(t *engine.ArgTypes) (l *snapshot.List, typ string, id int) {
	v, _ := t.Const("list")
	n, isNum := v.(num.Num)
	whole, _ := n.Int64()
	typ = "lists"
	if given, constant := t.Const("list_type"); constant {
		typ, _ = given.(string)
	} else if t.Given("list_type") {
		return nil, "", 0
	}
	if !isNum || whole <= 0 {
		return nil, "", 0
	}
	return t.Portal().ListOf(typ, int(whole)), typ, int(whole)
}

// CheckList warns of a list that the portal does not have, and of names in the arguments
// that are no properties.
func CheckList(c *engine.StepCheck, args ...string) {
	portal := c.Types().Portal()
	l, typ, id := listOf(c.Types())
	switch {
	case id == 0 || !portal.KnowsLists(typ) || !portal.Knows(snapshot.PartList(id)):
	case l == nil:
		why, hint := noList(portal, typ, id)
		c.Warnf("list", "unknown-list", "%s", why).SetHint(orInput(c, "list", hint))
	default:
		schema := plan.ListSchemaOf(l.ListFields(), nil)
		for _, arg := range args {
			c.EachName(arg, func(n engine.NamedArg) { checkProperty(n, portal, l, schema, arg == "filter") })
		}
	}
}

// noList says that a portal does not have a list, and which it has.
func noList(portal *snapshot.Snapshot, typ string, id int) (why, hint diag.Phrase) {
	why = diag.Phrasef("portal %s has no list %d", portal.Portal, id)
	var has []string
	for _, l := range portal.Lists {
		switch {
		case l.Type == typ:
			has = append(has, fmt.Sprintf("%d (%s)", l.ID, l.Title))
		case l.ID == id:
			return why, diag.Phrasef("write list_type: %s", l.Type)
		}
	}
	if len(has) > 8 {
		has = append(has[:8:8], "…")
	}
	if len(has) > 0 {
		hint = diag.Phrasef("it has %s", strings.Join(has, ", "))
	}
	return why, hint
}

// checkProperty warns of a name that is no property of a list, and of a value that the
// property cannot take.
func checkProperty(n engine.NamedArg, portal *snapshot.Snapshot, l *snapshot.List, schema *plan.ListSchema, filter bool) {
	operator, name := "", n.Name
	if filter {
		operator, name = plan.SplitOperator(name)
	}
	f, err := schema.Resolve(name)
	if err != nil {
		if isSystem(name) {
			return
		}
		why, hint := noProperty(portal, l, name)
		n.WarnNamef("unknown-item-field", "%s", why).SetHint(hint)
		return
	}
	if filter {
		if f.Kind == value.KindChoice && strings.Trim(operator, "=!") == "" {
			checkChoices(n, l, f)
		}
		return
	}
	if f.Kind == value.KindFile {
		return
	}
	n.EachConst(func(v any, warn engine.Warner) {
		if v == formula.Omitted {
			return
		}
		if err := f.Check(v); err != nil {
			w := warn("field-value", "%s", err)
			if f.Kind == value.KindChoice && w.Hint == "" {
				w.Hintf("it can be %s", fewChoices(propertyOf(l, f.Name).Choices))
			}
		}
	})
	if _, constant := n.Const(); constant {
		return
	}
	if n.Type().Kind == formula.List && !f.Multiple {
		n.WarnValuef("field-type", "%s takes one value, this is a list", f.Label())
	}
}

// checkChoices warns of a filter by an option that a property does not have.
func checkChoices(n engine.NamedArg, l *snapshot.List, f *value.Field) {
	v, constant := n.Const()
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for _, x := range list {
		if !constant || x == nil || x == "" || x == formula.Omitted {
			continue
		}
		if err := f.Check(x); err != nil {
			n.WarnValuef("never-equal", "%s", err).Hintf("it can be %s", fewChoices(propertyOf(l, f.Name).Choices))
		}
	}
}

// noProperty says that a list has no property with a name, and which one may be meant.
func noProperty(portal *snapshot.Snapshot, l *snapshot.List, name string) (why, hint diag.Phrase) {
	why = diag.Phrasef("list %d (%s) of portal %s has no property %q", l.ID, l.Title, portal.Portal, name)
	bare := strings.TrimPrefix(name, "PROPERTY_")
	if same := snapshot.Titled(name, l.Properties, func(p snapshot.Property) (string, string) { return cmp.Or(p.Code, p.ID), p.Title }); len(same) > 1 {
		return why, diag.Phrasef("did you mean %s? All are called %q", diag.Alternatives(same), name)
	}
	near := snapshot.Nearest(bare, l.Properties, func(p snapshot.Property) []string { return []string{p.Code, p.Title} })
	for i, p := range l.Properties {
		if p.ID == name { // an element has a property that has a code by its code
			near = &l.Properties[i]
		}
	}
	if near == nil {
		var has []string
		for _, p := range l.Properties {
			has = append(has, cmp.Or(p.Code, p.ID))
		}
		if len(has) > 12 {
			has = append(has[:12:12], "…")
		}
		return why, diag.Phrasef("it has %s", strings.Join(has, ", "))
	}
	called := cmp.Or(near.Code, near.ID)
	if near.Title == "" || near.Title == called {
		return why, diag.Phrasef("did you mean %s?", called)
	}
	return why, diag.Phrasef("did you mean %s (%s)?", called, near.Title)
}

func propertyOf(l *snapshot.List, id string) snapshot.Property {
	i := slices.IndexFunc(l.Properties, func(p snapshot.Property) bool { return p.ID == id })
	return l.Properties[i]
}

// isSystem reports a system field, which every list may have.
func isSystem(name string) bool {
	return slices.ContainsFunc(schemas.ListSystemFields(), func(f schemas.Field) bool { return strings.EqualFold(f.Name, name) })
}

// Element adds the properties of the list of a step to the type of an element. never says
// why no element of any list has a field.
func Element(types *engine.ArgTypes, t formula.Type, never func(name string) (why, hint diag.Phrase)) formula.Type {
	l, _, _ := listOf(types)
	if l == nil {
		return t
	}
	portal := types.Portal()
	for _, f := range l.ListFields().All() {
		if !f.IsProperty() {
			continue
		}
		t.Fields[cmp.Or(f.Code, f.ID)] = propertyType(portal, l, propertyOf(l, f.ID))
	}
	t.Domain = &formula.Domain{Code: "unknown-item-field", Source: t.Domain.Source, NoField: func(name string) (why, hint diag.Phrase) {
		if why, hint = never(name); !why.Empty() || isSystem(name) {
			return why, hint
		}
		return noProperty(portal, l, name)
	}}
	return t
}

// propertyType is the type of a property in the result of fetch_elements.
func propertyType(portal *snapshot.Snapshot, l *snapshot.List, p snapshot.Property) formula.Type {
	t := formula.Type{Kind: formula.Any}
	switch p.Type {
	case "N", "N:Sequence":
		t.Kind = formula.Number
	case "S", "S:Date", "S:DateTime", "S:HTML":
		t.Kind = formula.String
	case "S:Money":
		t = formula.MoneyText
	case "L":
		never := func(text string) (why, hint diag.Phrase) {
			found, near := snapshot.Choose(p.Choices, text)
			if found {
				return why, hint
			}
			why = diag.Phrasef("%s of list %d (%s) of portal %s is never %q", cmp.Or(p.Code, p.ID), l.ID, l.Title, portal.Portal, text)
			if near != nil {
				return why, diag.Phrasef("write %s for %q", near.ID, near.Title)
			}
			return why, diag.Phrasef("it can be %s", fewChoices(p.Choices))
		}
		titles := make([]string, len(p.Choices))
		for i, c := range p.Choices {
			titles[i] = c.Title
		}
		t.Domain = &formula.Domain{Code: "never-equal", Titles: formula.Titles(cmp.Or(p.Code, p.ID), titles), Excludes: never, ExcludesNumber: func(n num.Num) (why, hint diag.Phrase) { return never(n.String()) }}
	}
	if p.Multiple {
		return formula.ListOf(t)
	}
	return t.Optional()
}
