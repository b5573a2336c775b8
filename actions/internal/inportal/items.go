package inportal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/schemas"
)

// Items is what a snapshot says of the items of a step. A nil Items knows nothing.
type Items struct {
	portal *snapshot.Snapshot
	*snapshot.Type
}

// ItemsOf returns what a snapshot says of a type, nil when it says nothing.
func ItemsOf(portal *snapshot.Snapshot, typ int) *Items {
	if of := portal.TypeOf(typ); of != nil {
		return &Items{portal, of}
	}
	return nil
}

// CheckType warns of a type that the portal does not have. arg names the type.
func CheckType(c *engine.StepCheck, arg string, entityTypeID int) {
	why, hint := engine.UnknownType(c.Types().Portal(), entityTypeID)
	if !why.Empty() {
		c.Warnf(arg, "unknown-type", "%s", why).SetHint(orInput(c, arg, hint))
	}
}

// orInput names the input whose value is wrong.
func orInput(c *engine.StepCheck, arg string, hint diag.Phrase) diag.Phrase {
	name, isInput := strings.CutPrefix(c.Source(arg), engine.NameInputs+".")
	switch {
	case !isInput:
		return hint
	case hint.Empty():
		return diag.Phrasef("correct the input %s in the configuration", name)
	}
	return diag.Phrasef("correct the input %s in the configuration: %s", name, hint)
}

// switched are the fields that items of a smart process have only when a switch of the
// process is on.
var switched = []string{
	"stageId", "previousStageId", "movedBy", "movedTime", "opportunity", "isManualOpportunity", "taxValue", "currencyId", "companyId", "contactId",
	"contactIds", "mycompanyId", "sourceId", "sourceDescription", "observers", "begindate", "closedate",
}

// Lacks reports whether the portal does not have a documented field.
func (p *Items) Lacks(f schemas.Field) bool {
	return p != nil && p.ID >= schemas.FirstDynamicType && slices.Contains(switched, f.Name) && p.Field(f.Name) == nil
}

// Known is Field for a type of which nothing may be known.
func (p *Items) Known(name string) *snapshot.Field {
	if p == nil {
		return nil
	}
	return p.Field(name)
}

// AddCustom adds the types of the fields that only the portal knows.
func (p *Items) AddCustom(fields map[string]formula.Type) {
	if p == nil {
		return
	}
	for i := range p.Fields {
		f := &p.Fields[i]
		if _, documented := fields[f.Name]; !documented && IsOfPortal(f.Name) {
			fields[f.Name] = p.custom(f)
		}
	}
}

// NeverRead says why an item never has a field that is not documented.
func (p *Items) NeverRead(name string) (why, hint diag.Phrase) {
	if name == "" || p.Field(name) != nil {
		return why, hint
	}
	return p.Missing(name)
}

// Missing says that the items have no field with a name, and which one may be meant.
func (p *Items) Missing(name string) (why, hint diag.Phrase) {
	why = diag.Phrasef("%s of portal %s have no field %q", p.Name(), p.portal.Portal, name)
	if same := snapshot.Titled(name, p.Fields, func(f snapshot.Field) (string, string) { return f.Name, f.Title }); len(same) > 1 {
		return why, diag.Phrasef("did you mean %s? All are called %q", diag.Alternatives(same), name)
	}
	near := snapshot.Nearest(ownPart(name), p.Fields, func(f snapshot.Field) []string { return []string{ownPart(f.Name), f.Title} })
	if near == nil {
		return why, hint
	}
	return why, p.didYouMean(near.Name, near.Title)
}

// customStart is how the names of custom fields start: ufCrm_, ufCrm7, UF_CRM_, UF_CRM_7_.
var customStart = regexp.MustCompile(`(?i)^uf_?crm(?:_[0-9]+_|[0-9]+_?|_)`)

// ownPart is the part of a field's name that differs between fields.
func ownPart(name string) string { return customStart.ReplaceAllString(name, "") }

func (p *Items) didYouMean(name, title string) diag.Phrase {
	if title == "" || title == name {
		return diag.Phrasef("did you mean %s?", name)
	}
	return diag.Phrasef("did you mean %s (%s)?", name, title)
}

// custom returns the type of a field that only the portal knows. The values are as the
// portal sends them.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/data-types.html
func (p *Items) custom(f *snapshot.Field) formula.Type {
	t := formula.Type{Kind: formula.Any}
	switch f.Type {
	case "integer":
		t.Kind = formula.Int
	case "double":
		t.Kind = formula.Number
	case "string", "text", "char", "url", "address", "boolean", "date", "datetime", "crm_status", "crm_currency":
		t.Kind = formula.String
	case "money":
		t = formula.MoneyText
	case "employee", "user":
		t.Kind, t.Domain = formula.Int, engine.IDDomain(schemas.TypeUser)
	}
	if strings.HasPrefix(f.Name, "parentId") {
		t.Kind = formula.Int
		if n, err := num.Parse(strings.TrimPrefix(f.Name, "parentId")); err == nil {
			id, _ := n.Int64()
			t.Domain = engine.IDDomain(int(id))
		}
	}
	if t.Domain == nil {
		t.Domain = p.Domain(f, nil)
	}
	if f.Multiple {
		return formula.ListOf(t)
	}
	return t.Optional()
}

// Domain adds to what is known of the texts of a field which values the portal has.
func (p *Items) Domain(f *snapshot.Field, documented *formula.Domain) *formula.Domain {
	choices, known := p.portal.ChoicesOf(p.Type, f)
	if !known {
		if documented != nil || f.Type != "boolean" {
			return documented
		}
		return &formula.Domain{Code: "never-equal", Excludes: func(text string) (why, hint diag.Phrase) { return NeverFlag(f.Name, text) }}
	}
	out := formula.Domain{Code: "never-equal"}
	if documented != nil {
		out = *documented
	}
	out.Excludes = func(text string) (why, hint diag.Phrase) { return p.neverChoice(f, choices, text) }
	if f.Type == "enumeration" || f.Type == "crm_status" {
		titles := make([]string, len(choices))
		for i, c := range choices {
			titles[i] = c.Title
		}
		out.Titles = formula.Titles(f.Name, titles)
	}
	out.ExcludesPart = func(part string) (why, hint diag.Phrase) {
		if slices.ContainsFunc(choices, func(c snapshot.Choice) bool { return strings.Contains(c.ID, part) }) {
			return why, hint
		}
		why, hint = p.neverChoice(f, choices, part)
		return why, hint
	}
	out.ExcludesNumber = func(n num.Num) (why, hint diag.Phrase) {
		if n.Sign() == 0 {
			return why, hint // nothing is chosen
		}
		return p.neverChoice(f, choices, n.String())
	}
	return &out
}

// neverChoice says why a text is never the value of a field with choices.
func (p *Items) neverChoice(f *snapshot.Field, choices []snapshot.Choice, text string) (why, hint diag.Phrase) {
	found, near := snapshot.Choose(choices, text)
	if found {
		return why, hint
	}
	why = diag.Phrasef("%s of portal %s is never %q", p.label(f), p.portal.Portal, text)
	if own := inPipelines(choices, text); len(own) > 0 {
		return why, diag.Phrasef("write %s", diag.Alternatives(own))
	}
	if near != nil && (f.Type != "crm_currency" || strings.EqualFold(near.ID, text)) { // all codes of currencies are similar
		return why, choiceHint(f, *near)
	}
	return why, diag.Phrasef("it can be %s", fewChoices(choices))
}

// inPipelines returns the stages of further pipelines with an id that was written without the pipeline:
// "C7:WON" for WON.
func inPipelines(choices []snapshot.Choice, text string) (out []string) {
	for _, c := range choices {
		if _, own, of := strings.Cut(c.ID, ":"); of && text != "" && strings.EqualFold(own, text) {
			out = append(out, fmt.Sprintf("%q", c.ID))
		}
	}
	return out
}

// choiceHint says how a rule writes a choice.
func choiceHint(f *snapshot.Field, c snapshot.Choice) diag.Phrase {
	value := fmt.Sprintf("%q", c.ID)
	if f.Type == "enumeration" || f.Type == "crm_category" {
		value = c.ID // these are numbers
	}
	if c.Title == "" || c.Title == c.ID {
		return diag.Phrasef("write %s", value)
	}
	return diag.Phrasef("write %s for %q", value, c.Title)
}

func fewChoices(choices []snapshot.Choice) string {
	const most = 6
	var out []string
	for i, c := range choices {
		if i == most {
			return strings.Join(append(out, "…"), ", ")
		}
		if c.Title == "" || c.Title == c.ID {
			out = append(out, c.ID)
		} else {
			out = append(out, c.ID+" ("+c.Title+")")
		}
	}
	return strings.Join(out, ", ")
}

// label names a field for people.
func (p *Items) label(f *snapshot.Field) string {
	if f.Custom && f.Title != "" && f.Title != f.Name && f.Title != f.Stored {
		return f.Name + " (" + f.Title + ")"
	}
	return f.Name
}

// CheckName warns of a field that the portal does not have. It reports true when there is
// nothing more to say about the name.
func (p *Items) CheckName(n engine.NamedArg, name string) bool {
	if p.Field(name) != nil {
		return false
	}
	if doc, documented := schemas.ItemField(p.ID, name); documented && !p.Lacks(doc) {
		return false
	}
	why, hint := p.Missing(name)
	if !IsOfPortal(name) && !p.isTitle(name) && p.ID < schemas.FirstDynamicType && (latinName.MatchString(name) || hint.Empty()) {
		return false // reported as a field that is not documented
	}
	n.WarnNamef("unknown-item-field", "%s", why).SetHint(hint)
	return true
}

// latinName is a name as documented fields have it.
var latinName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// isTitle reports whether a name is the title of a field.
func (p *Items) isTitle(name string) bool {
	return slices.ContainsFunc(p.Fields, func(f snapshot.Field) bool { return strings.EqualFold(f.Title, name) })
}

// CheckValue warns of a value that the portal's field never has or cannot take. It reports
// true when there is nothing more to say. kind warns of a value of the wrong kind for a
// field that is not documented.
func (p *Items) CheckValue(n engine.NamedArg, name, operator string, written bool, kind func(f schemas.Field)) bool {
	f := p.Field(name)
	if f == nil || strings.Contains(operator, "%") {
		return false
	}
	if written && f.ReadOnly && f.Custom {
		n.WarnNamef("read-only-field", "a rule cannot write %s, only the portal can", p.label(f))
		return true
	}
	wrong := false
	n.EachConst(func(v any, warn engine.Warner) { wrong = p.checkConstant(warn, f, v, written) || wrong })
	if wrong {
		return true
	}
	if written && (f.Custom || strings.HasPrefix(f.Name, "parentId")) {
		kind(schemas.Field{Name: p.label(f), Type: f.Type, Multiple: f.Multiple})
		return true
	}
	return false
}

// checkConstant warns of a constant that is none of the choices, or that the field cannot
// take.
func (p *Items) checkConstant(warn engine.Warner, f *snapshot.Field, v any, written bool) bool {
	code := "never-equal"
	if written {
		code = "field-value"
	}
	choices, known := p.portal.ChoicesOf(p.Type, f)
	if !known {
		return false
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for _, x := range list {
		text, err := formula.ToText(x)
		if err != nil || text == "" || text == "0" && f.Type == "enumeration" {
			continue
		}
		if f.Type == "enumeration" && slices.ContainsFunc(choices, func(c snapshot.Choice) bool { return strings.EqualFold(c.Title, text) }) {
			own, err := plan.ItemSchemaOf(p.ID, p.ItemFields(), nil).Resolve(f.Name)
			if err == nil && own.Check(x) == nil {
				continue // a step takes the text of an option, too
			}
		}
		if why, hint := p.neverChoice(f, choices, text); !why.Empty() {
			warn(code, "%s", why).SetHint(hint)
			return true
		}
	}
	return false
}

// CheckCallFields warns of custom fields in the parameters of a call that the portal does
// not have. The methods of lists know properties by their ids.
func CheckCallFields(c *engine.StepCheck, m schemas.Method) {
	t := c.Types()
	parts := strings.Split(strings.ToLower(m.Name), ".")
	if t.Portal() == nil || len(parts) != 3 || !slices.Contains([]string{"add", "update", "list", "get", "import"}, parts[2]) {
		return
	}
	if parts[0] == "lists" && parts[1] == "element" {
		checkCallProperties(c)
		return
	}
	typ, stored := 0, parts[1] != "item"
	if o, known := schemas.LookupOwner(parts[1]); known {
		typ = o.ID
	}
	if v, constant := t.Entry("params", "entityTypeId"); constant && !stored {
		n, _ := v.(num.Num)
		id, _ := n.Int64()
		typ = int(id)
	}
	portal := ItemsOf(t.Portal(), typ)
	if parts[0] != "crm" || portal == nil {
		return
	}
	for _, arg := range []string{"params.fields", "params.FIELDS", "params.filter", "params.FILTER"} {
		c.EachName(arg, func(n engine.NamedArg) {
			_, name := plan.SplitOperator(n.Name)
			if !IsOfPortal(name) || portal.Field(name) != nil {
				return
			}
			why, hint := portal.Missing(name)
			near := snapshot.Nearest(name, portal.Fields, func(f snapshot.Field) []string { return []string{f.Name, f.Stored, f.Title} })
			if stored && near != nil {
				hint = portal.didYouMean(near.Stored, near.Title)
			}
			n.WarnNamef("unknown-item-field", "%s", why).SetHint(hint)
		})
	}
}

// checkCallProperties is CheckCallFields for elements of a list.
func checkCallProperties(c *engine.StepCheck) {
	typ, _ := c.Types().Entry("params", "IBLOCK_TYPE_ID")
	id, _ := c.Types().Entry("params", "IBLOCK_ID")
	name, _ := typ.(string)
	n, _ := id.(num.Num)
	number, _ := n.Int64()
	portal := c.Types().Portal()
	l := portal.ListOf(name, int(number))
	if l == nil {
		if portal.KnowsLists(name) && portal.Knows(snapshot.PartList(int(number))) && number > 0 {
			c.EachName("params", func(n engine.NamedArg) {
				if n.Name == "IBLOCK_ID" {
					why, hint := noList(portal, name, int(number))
					n.WarnValuef("unknown-list", "%s", why).SetHint(hint)
				}
			})
		}
		return
	}
	for _, arg := range []string{"params.FIELDS", "params.FILTER"} {
		c.EachName(arg, func(n engine.NamedArg) {
			_, name := plan.SplitOperator(n.Name)
			if !strings.HasPrefix(name, "PROPERTY_") || slices.ContainsFunc(l.Properties, func(p snapshot.Property) bool { return p.ID == name || "PROPERTY_"+p.Code == name }) {
				return
			}
			why, hint := noProperty(portal, l, name)
			n.WarnNamef("unknown-item-field", "%s", why).SetHint(hint)
		})
	}
}

// IsOfPortal reports a custom or parent field, which only the portal knows.
func IsOfPortal(name string) bool {
	return slices.ContainsFunc([]string{"ufCrm", "UF_CRM_", "parentId", "PARENT_ID_"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// NeverFlag says why a text is never the value of a flag: flags are the texts Y and N.
func NeverFlag(field, text string) (why, hint diag.Phrase) {
	if text == "Y" || text == "N" {
		return why, hint
	}
	why = diag.Phrasef("%s is Y or N, never %q", field, text)
	switch strings.ToLower(text) {
	case "y", "yes", "true", "1", "on", "да":
		hint = diag.Phrasef("write %q", "Y")
	case "n", "no", "false", "0", "off", "нет":
		hint = diag.Phrasef("write %q", "N")
	}
	return why, hint
}
