package actions

import (
	"context"
	"regexp"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// FetchElements reads elements of a universal list.
var FetchElements = engine.Define(engine.Spec[fetchElementsArgs]{
	Name:   "fetch_elements",
	Effect: engine.Reads,
	Doc: `read the elements of a universal list that match a filter

The filter names properties by their code, their name or as PROPERTY_101, and
system fields such as NAME. A key may start with "=" (the default), ">", ">=",
"<", "<=" or "%".

Each element has id, code, name and sectionId, its other system fields by their
names, and each property under its code (PROPERTY_101 if it has no code). Numbers
and ids are numbers, other values are texts. A date has the form 2024-12-31 or
2024-12-31 23:59:59. A multiple property is a list. An empty property is nil.`,
	Says:   "reads the elements of list {list}{ where @filter}",
	Cost:   engine.Cost{Least: engine.Pages("elements"), Typical: engine.Pages("elements"), Worst: engine.Pages("elements")},
	Run:    fetchElements,
	Result: func(t *engine.ArgTypes) formula.Type { return formula.ListOf(elementType(t)) },
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchElements, Reads: true, Of: "list", ListType: "list_type", Which: "filter"}}
	},
	Check: func(c *engine.StepCheck) { inportal.CheckList(c, "filter") },
})

// elementType is the type of an element. Its properties are only known to the portal, and
// to a snapshot of it.
func elementType(types *engine.ArgTypes) formula.Type {
	t := formula.OpenRecord(map[string]formula.Type{
		"id": {Kind: formula.Int}, "code": {Kind: formula.String}, "name": {Kind: formula.String},
		"sectionId": {Kind: formula.Int, Maybe: true},
	})
	number, _ := types.Const("list")
	n, _ := number.(num.Num)
	id, _ := n.Int64()
	from := sourceOf(types, "list", int(id))
	from.List, from.ListType = true, "lists"
	if typ, ok := types.Const("list_type"); ok {
		from.ListType, _ = typ.(string)
	}
	t.Domain = &formula.Domain{NoField: neverInElement, Source: from}
	return inportal.Element(types, t, neverInElement)
}

// shownNames are system fields of elements with their names in the result.
var shownNames = map[string]string{"ID": "id", "CODE": "code", "NAME": "name", "IBLOCK_SECTION_ID": "sectionId"}

// propertyNumber finds the number of a property in a name such as property_101.
var propertyNumber = regexp.MustCompile(`(?i)^property_?(\d+)(_value|_enum_id)?$`)

// neverInElement says why no element has a field, and how the result calls it.
func neverInElement(name string) (why, hint diag.Phrase) {
	right := shownNames[name]
	if m := propertyNumber.FindStringSubmatch(name); m != nil && name != "PROPERTY_"+m[1] {
		right = "PROPERTY_" + m[1]
	}
	if right == "" {
		return why, hint
	}
	return diag.Phrasef("an element has no field %s", name), diag.Phrasef("write %s", right)
}

type fetchElementsArgs struct {
	List     int           `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType string        `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Filter   engine.Fields `yaml:"filter" doc:"properties and the values that they must have" example:"{DEAL: =event.id}"`
	Limit    int           `yaml:"limit" validate:"min=1,max=5000" default:"500" doc:"the largest number of elements; more are an error"`
}

func fetchElements(ctx context.Context, c *engine.Call, a fetchElementsArgs) (any, error) {
	l, err := plan.OpenListToRead(ctx, c, a.List, a.ListType)
	if err != nil {
		return nil, err
	}
	conditions, err := plan.ParseConditions(a.Filter, l.Schema.Resolve)
	if err != nil {
		return nil, err
	}
	limit := a.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	call := l.Call("lists.element.get", map[string]any{
		"ELEMENT_ORDER": map[string]any{"ID": "asc"},
		"FILTER":        plan.FilterParams(conditions, (*value.Field).ListOne),
	})
	raw, err := plan.ReadPages(ctx, c, call, "", limit)
	if err != nil {
		return nil, err
	}
	elements, err := l.Schema.DecodeElements(raw)
	if err != nil {
		return nil, err
	}
	if err := l.LearnDates(ctx, c, elements); err != nil {
		return nil, err
	}
	out := make([]any, len(elements))
	for i, e := range elements {
		// The answer has no key for a property without a value.
		value := func(f *value.Field) (any, bool) { return e.Values[f.Name], true }
		if _, err := plan.Verify(conditions, value, e.String(), false); err != nil {
			return nil, err
		}
		out[i] = l.Shown(c, e)
	}
	return out, nil
}
