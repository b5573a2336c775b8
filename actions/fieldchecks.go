package actions

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Checks of the item fields in a step against the documented ones.

// documented returns the documented fields of a step's items and the name of
// one such item. known is false when an input decides the type. The fields are
// then those of all types.
func documented(t *engine.ArgTypes) (fields []schemas.Field, what string, known bool) {
	typ := constType(t)
	if fields = schemas.ItemFields(typ); len(fields) > 0 {
		return fields, typeName(typ), true
	}
	return fieldsOfAny(), "an item", false
}

// fieldsOfAny are the fields of all types.
var fieldsOfAny = sync.OnceValue(func() (fields []schemas.Field) {
	for _, o := range schemas.Owners() {
		fields = append(fields, schemas.ItemFields(o.ID)...)
	}
	return slices.Clip(append(fields, schemas.ItemFields(schemas.FirstDynamicType)...))
})

// checkItemFields warns of unknown field names, of two names of one field, of
// fields that only the portal writes, and of values that a field cannot take.
// written says that the step writes the fields.
func checkItemFields(c *engine.StepCheck, arg string, written bool) {
	fields, what, known := documented(c.Types())
	typ := constType(c.Types())
	portal := inportal.ItemsOf(c.Types().Portal(), constType(c.Types()))
	seen := map[string]string{}
	limits := plan.Limits{}
	pipeline := pipelineOf(c, arg)
	c.EachName(arg, func(n engine.NamedArg) {
		operator, name := "", n.Name
		if !written {
			operator, name = plan.SplitOperator(name)
		}
		if why, hint := wrongCustomName(typ, name); !why.Empty() {
			n.WarnNamef("unknown-item-field", "%s", why).SetHint(hint)
			return
		}
		if !written && name == "logic" { // joins the parts of a filter
			return
		}
		if name == "stageId" && pipeline != nil {
			checkPipeline(n, typ, *pipeline, written)
		}
		kind := func(f schemas.Field) { checkFieldValue(n, typeName(typ), typ, f) }
		if portal != nil && (portal.CheckName(n, name) || arg != "order" && portal.CheckValue(n, name, operator, written, kind)) {
			return
		}
		if inportal.IsOfPortal(name) {
			return
		}
		at := slices.IndexFunc(fields, func(f schemas.Field) bool { return f.Name == name || schemas.StoredName(f.Name) == name })
		if at < 0 {
			unknownField(n.WarnNamef, what, name, fields)
			return
		}
		f := fields[at]
		if before, twice := seen[operator+f.Name]; twice {
			n.WarnNamef("duplicate-key", "%s and %s are two names of one field", before, name).Hint = "keep " + f.Name
			return
		}
		seen[operator+f.Name] = name
		switch {
		case !written && arg != "order":
			checkFilterValue(n, typ, operator, f)
			if v, constant := n.Const(); constant {
				own := &value.Field{Name: f.Name, Kind: plan.ItemKind(f.Type), Places: value.UnknownPlaces}
				if other := limits.Add(own, operator, v); other != "" {
					n.WarnValuef("never-equal", "no %s fulfils both %s and this", f.Name, other)
				}
			}
		case !written || !known:
		case f.ReadOnly:
			n.WarnNamef("read-only-field", "a rule cannot write %s, only the portal can", name)
		default:
			checkFieldValue(n, what, typ, f)
		}
	})
}

// pipelineOf is the pipeline that an argument fixes, nil if it fixes none.
func pipelineOf(c *engine.StepCheck, arg string) (pipeline *int64) {
	c.EachName(arg, func(n engine.NamedArg) {
		v, constant := n.Const()
		if id, isNum := value.NumberOf(v); constant && isNum && n.Name == "categoryId" {
			if whole, ok := id.Int64(); ok {
				pipeline = &whole
			}
		}
	})
	return pipeline
}

// stageIDs are the ids of stages of deals outside of pipeline 0, and of the stages of smart
// processes and smart invoices.
var stageIDs = regexp.MustCompile(`^(?:C|DT[0-9]+_)([0-9]+):`)

// checkPipeline warns of a stage that is of another pipeline than the categoryId next to it.
func checkPipeline(n engine.NamedArg, typ int, pipeline int64, written bool) {
	v, _ := n.Const()
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for _, x := range list {
		stage, isText := x.(string)
		own := "0"
		if m := stageIDs.FindStringSubmatch(stage); m != nil {
			own = m[1]
		} else if typ != schemas.TypeDeal {
			continue
		}
		if !isText || stage == "" || own == strconv.FormatInt(pipeline, 10) {
			continue
		}
		code := "never-equal"
		if written {
			code = "field-value"
		}
		n.WarnValuef(code, "%s is a stage of pipeline %s, and categoryId is %d", stage, own, pipeline)
	}
}

func unknownField(warn func(code, format string, args ...any) *diag.Finding, what, name string, fields []schemas.Field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	f := warn("unknown-item-field", "%s has no documented field %q, and names of custom fields start with ufCrm", what, name)
	if near := diag.Closest(name, names); near != "" {
		f.Hint = "did you mean " + near + "?" + diag.Lookalike(name, near)
	}
}

// checkFieldValue warns of a value that a documented field cannot take, such as a
// text for a date or a list for one value. The step would be parked, or the portal
// would store nothing.
func checkFieldValue(n engine.NamedArg, what string, typ int, f schemas.Field) {
	own := &value.Field{Name: f.Name, Kind: plan.ItemKind(f.Type), Multiple: f.Multiple, Places: value.UnknownPlaces}
	if v, constant := n.Const(); constant {
		shown := value.KindOf(v)
		if text, isText := v.(string); isText {
			shown = fmt.Sprintf("%.40q", text)
		}
		switch _, isList := v.([]any); {
		case own.Check(v) == nil && isID(f.Type) && !f.Multiple && !wholeNumber(v):
			n.WarnValuef("field-type", "%s of %s takes an id, this is %s", f.Name, what, shown)
		case own.Check(v) == nil && isID(f.Type) && f.Multiple && !wholeNumbers(v):
			n.WarnValuef("field-type", "%s of %s takes a list of ids", f.Name, what).Hint = "write numbers: [5, 7]"
		case own.Check(v) == nil && isID(f.Type) && f.Multiple && isOneID(v):
			warnOneID(n, what, f)
		case own.Check(v) == nil && own.Kind == value.KindText && isFlag(v):
			n.WarnValuef("field-type", "%s of %s takes text, this is %s", f.Name, what, shown).Hintf("write \"%v\" if the word is meant", v)
		case own.Check(v) == nil && isIDText(f) && !isTextValue(v):
			n.WarnValuef("field-type", "%s of %s takes the text of an id, this is %s", f.Name, what, shown)
		case own.Check(v) != nil && isList && !f.Multiple:
			n.WarnValuef("field-type", "%s of %s takes one value, this is a list", f.Name, what)
		case own.Check(v) != nil:
			n.WarnValuef("field-type", "%s of %s takes %s, this is %s", f.Name, what, own.Kind, shown)
		default:
			if text, isText := v.(string); isText && f.Type != "boolean" { // a flag may be written as true, too
				if why, hint := neverValue(typ, f, text); !why.Empty() {
					n.WarnValuef("field-value", "%s", why).SetHint(hint)
				}
			}
		}
		return
	}
	switch t := n.Type(); {
	case t.Kind == formula.List && !f.Multiple:
		n.WarnValuef("field-type", "%s of %s takes one value, this is a list", f.Name, what)
	case t.Kind == formula.String && t.Domain != nil && t.Domain.Words && (isID(f.Type) || own.Kind == value.KindNumber):
		n.WarnValuef("field-type", "%s of %s takes a number, and %s is a text", f.Name, what, n.Source())
	case t.Kind == formula.List && t.Elem != nil && t.Elem.Kind == formula.Record && isID(f.Type):
		n.WarnValuef("field-type", "%s of %s takes a list of ids", f.Name, what).Hint = "write numbers: [5, 7]"
	case (t.Kind == formula.Int || t.Kind == formula.Number) && f.Multiple && isID(f.Type):
		warnOneID(n, what, f)
	case t.Kind == formula.Record && own.Kind != value.KindFile && own.Kind != value.KindMultifields:
		n.WarnValuef("field-type", "%s of %s takes %s, this is a record", f.Name, what, own.Kind)
	case t.Kind == formula.Time && (own.Kind == value.KindNumber || isID(f.Type)), t.Kind == formula.Bool && isID(f.Type):
		n.WarnValuef("field-type", "%s of %s takes a number, this is %s", f.Name, what, t)
	case (t.Kind == formula.Int || t.Kind == formula.Number) && (own.Kind == value.KindDay || own.Kind == value.KindDateTime):
		n.WarnValuef("field-type", "%s of %s takes %s, this is a number", f.Name, what, own.Kind)
	case (t.Kind == formula.Int || t.Kind == formula.Number) && own.Kind == value.KindMoney:
		n.WarnValuef("field-type", "%s of %s takes %s, this is a number", f.Name, what, own.Kind).Hint = `write money(…, deal.currencyId ?? "USD")`
	case t.Kind == formula.String && t.Domain == formula.MoneyText.Domain && own.Kind == value.KindNumber:
		n.WarnValuef("field-type", "%s of %s takes a number, this is money", f.Name, what).Hintf("write (%s)?.amount", n.Source())
	}
}

// warnOneID warns of an id where a field has a list: all other ids of the field are removed.
func warnOneID(n engine.NamedArg, what string, f schemas.Field) {
	n.WarnValuef("field-type", "%s of %s takes a list of ids, and this is one id, which replaces all others", f.Name, what).
		Hintf("write a list, such as [5], or add the id: =uniq(concat(deal.%s ?? [], [5]))", f.Name)
}

// isOneID reports whether v is an id and no list.
func isOneID(v any) bool {
	_, ok := value.NumberOf(v)
	return ok
}

// checkFilterValue warns of a condition that no item can fulfil.
func checkFilterValue(n engine.NamedArg, typ int, operator string, f schemas.Field) {
	v, constant := n.Const()
	text, _ := v.(string)
	switch kind := n.Type().Kind; {
	case kind == formula.Record:
		n.WarnValuef("never-equal", "%s is compared with a value, this is a record", f.Name).Hintf("write an operator before the name, such as \">%s\"", f.Name)
		return
	case kind == formula.List && strings.ContainsAny(operator, "<>"):
		n.WarnValuef("never-equal", "%s compares %s with one value, this is a list", operator, f.Name).Hintf("write \"@%s\" for one of a list", f.Name)
		return
	case !strings.Contains(operator, "%=") && !strings.Contains(operator, "=%") && wildcard.MatchString(text):
		n.WarnValuef("never-equal", "%q is compared as it is written, with the %%", text).Hintf("write the operator before the name: \"%%%s\"", f.Name)
		return
	}
	if !constant || strings.Contains(operator, "%") {
		return
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	own := &value.Field{Name: f.Name, Kind: plan.ItemKind(f.Type), Places: value.UnknownPlaces}
	for _, x := range list {
		text, isText := x.(string)
		_, isNumber := x.(num.Num)
		switch why, hint := neverValue(typ, f, text); {
		case !why.Empty():
			n.WarnValuef("never-equal", "%s", why).SetHint(hint)
			return
		case isText && isID(f.Type) && !wholeNumber(x):
			n.WarnValuef("never-equal", "%s is an id, never %.40q", f.Name, text)
			return
		case (isText || isNumber) && own.Check(x) != nil:
			n.WarnValuef("never-equal", "%s is %s, never %.40q", f.Name, own.Kind, value.TextOf(x))
			return
		}
	}
}

// wildcard is a text that is meant as a part of another one, as in SQL.
var wildcard = regexp.MustCompile(`^%[^%]+%?$|^[^%]*[^%\s\d]%$`)

// isIDText reports a field that holds the text of an id, such as that of a stage.
func isIDText(f schemas.Field) bool {
	return f.Name == "stageId" || f.Type == "crm_currency"
}

func isFlag(v any) bool {
	_, isFlag := v.(bool)
	return isFlag
}

func isTextValue(v any) bool {
	_, isText := v.(string)
	return isText || v == nil || v == formula.Omitted
}

// isID reports a field that holds the id of a record or a user.
func isID(typ string) bool {
	switch typ {
	case "user", "employee", "crm_company", "crm_contact", "crm_lead", "crm_deal", "crm_quote", "crm_category":
		return true
	}
	return false
}

// wholeNumber reports whether v is empty or can be an id.
func wholeNumber(v any) bool {
	if v == nil || v == "" || v == formula.Omitted {
		return true
	}
	if _, isFlag := v.(bool); isFlag {
		return false
	}
	n, ok := value.NumberOf(v)
	return ok && n.IsInt()
}

// wholeNumbers reports whether v is empty or can be a list of ids. One id is a list, too.
func wholeNumbers(v any) bool {
	list, isList := v.([]any)
	if !isList {
		return wholeNumber(v)
	}
	return !slices.ContainsFunc(list, func(x any) bool { return !wholeNumber(x) })
}

// checkSelect warns of names in select that items do not have.
func checkSelect(c *engine.StepCheck) {
	fields, what, _ := documented(c.Types())
	portal := inportal.ItemsOf(c.Types().Portal(), constType(c.Types()))
	c.EachElement("select", func(v any, warn func(code, format string, args ...any) *diag.Finding) {
		name, isText := v.(string)
		known := slices.ContainsFunc(fields, func(f schemas.Field) bool { return f.Name == name || schemas.StoredName(f.Name) == name })
		why, hint := wrongCustomName(constType(c.Types()), name)
		switch {
		case !why.Empty():
			warn("unknown-item-field", "%s", why).SetHint(hint)
		case !isText || known || portal.Known(name) != nil:
		case portal != nil && inportal.IsOfPortal(name):
			why, hint := portal.Missing(name)
			warn("unknown-item-field", "%s", why).SetHint(hint)
		case !inportal.IsOfPortal(name):
			unknownField(warn, what, name, fields)
		}
	})
}
