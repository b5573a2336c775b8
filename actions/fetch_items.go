package actions

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// FetchItems reads CRM items by a filter.
var FetchItems = engine.Define(engine.Spec[fetchItemsArgs]{
	Name:   "fetch_items",
	Effect: engine.Reads,
	Doc: `read the items of the CRM that match a filter

A key of the filter may start with an operator of crm.item.list: "=" (the
default), "!=", ">", ">=", "<", "<=", "@" (one of a list), "!@", "%" (contains).
The step checks every item against the filter as far as it can, so that a filter
that the portal ignores is an error and not a long list.

More items than limit are an error. The result is never cut off.`,
	Says: "reads {owner|items of type @entityTypeId}{ where @filter}",
	Cost: engine.Cost{Least: engine.Pages("items"), Typical: engine.Pages("items"), Worst: engine.Pages("items")},
	Run:  fetchItems,
	Result: func(t *engine.ArgTypes) formula.Type {
		if t.Given("select") {
			return formula.ListOf(selectedType(t))
		}
		return formula.ListOf(itemType(t))
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Reads: true, Of: ownerArg(t), Which: "filter"}}
	},
	Check:       checkFetchItems,
	CheckFilter: func(c *engine.StepCheck) { checkItemFields(c, "filter", false) },
})

// selectedType is the type of an item with only the fields of select and of the
// filter. The values are as the portal sends them.
func selectedType(types *engine.ArgTypes) formula.Type {
	fields := map[string]formula.Type{"id": {Kind: formula.Int, Domain: plan.OwnIDDomain(constType(types))}}
	open := formula.OpenRecord(fields)
	open.Domain = &formula.Domain{Source: sourceOf(types, "entityTypeId", constType(types))}
	names, constant := types.Const("select")
	list, isList := names.([]any)
	filter := types.Type("filter")
	if !constant || !isList || types.Given("filter") && filter.Open {
		return open
	}
	for name := range filter.Fields {
		_, name = plan.SplitOperator(name)
		list = append(list, name)
	}
	known, _, _ := documented(types)
	portal := inportal.ItemsOf(types.Portal(), constType(types))
	for _, x := range list {
		name, _ := x.(string)
		at := slices.IndexFunc(known, func(f schemas.Field) bool { return f.Name == name || schemas.StoredName(f.Name) == name })
		switch {
		case at >= 0:
			name = known[at].Name
		case !strings.HasPrefix(name, "ufCrm") && !strings.HasPrefix(name, "parentId"):
			return open // only the portal knows the name of the field in its answer
		}
		if name != "id" {
			t := formula.Type{Kind: formula.Any}
			if at >= 0 && !known[at].Multiple { // a field that is missing in an item is nil
				t.Domain = fieldDomain(constType(types), known[at])
			}
			if own := portal.Known(name); own != nil && !own.Multiple {
				t.Domain = portal.Domain(own, t.Domain)
			}
			fields[name] = t
		}
	}
	selected := formula.RecordOf(fields)
	selected.Domain = open.Domain
	return selected
}

type fetchItemsArgs struct {
	Owner        string        `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the items" example:"deal"`
	EntityTypeID int           `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"1072"`
	Filter       engine.Fields `yaml:"filter" doc:"fields and the values that they must have" example:"{companyId: =deal.companyId}"`
	Order        engine.Fields `yaml:"order" doc:"asc or desc for one field; the default is by id" example:"{opportunity: desc}"`
	Select       []string      `yaml:"select" doc:"the fields to read; the default is all" example:"[id, title]"`
	Limit        int           `yaml:"limit" validate:"min=1,max=5000" default:"500" doc:"the largest number of items; more are an error"`
}

// defaultLimit is the largest number of records that one step reads.
const defaultLimit = 500

func fetchItems(ctx context.Context, c *engine.Call, a fetchItemsArgs) (any, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	conditions, err := plan.ParseConditions(a.Filter, schema.Resolve)
	if err != nil {
		return nil, err
	}
	q := plan.ItemQuery{Limit: a.Limit}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	if q.Order, err = schema.Order(a.Order); err != nil {
		return nil, err
	}
	for _, name := range a.Select {
		f, err := schema.Resolve(name)
		if err != nil {
			return nil, err
		}
		q.Selected = append(q.Selected, f.Name)
	}
	items, err := schema.FindItems(ctx, c, conditions, q)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, r := range items {
		item := r.Values
		if len(a.Select) == 0 {
			markDeleted(c, schema.Type, item)
			item = record(item, schemas.ItemFields(schema.Type))
		}
		item["id"] = value.Typed(item["id"], formula.Int, false)
		out[i] = item
	}
	return out, nil
}
