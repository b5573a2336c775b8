package actions

import (
	"context"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// DeleteItems deletes CRM items by a filter.
var DeleteItems = engine.Define(engine.Spec[deleteItemsArgs]{
	Name:   "delete_items",
	Effect: engine.Writes,
	Doc: `delete the items of the CRM that match a filter

The step checks every item against the filter before it deletes the first one.
Therefore the filter may have only conditions that can be checked: equal, not
equal, one of a list, and comparisons of numbers and times. More items than limit
are an error, and nothing is deleted.

The result has the number of deleted items.`,
	Says:   "deletes {owner|items of type @entityTypeId} where {filter}",
	Cost:   engine.Cost{Least: engine.Commands(1), Typical: engine.Pages("items").Plus(engine.Per("items")), Worst: engine.Pages("items").Plus(engine.Per("items"))},
	Run:    deleteItems,
	Result: deletedType,
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Of: ownerArg(t), Deletes: true, Which: "filter"}}
	},
	Check: checkDeleteItems,
})

type deleteItemsArgs struct {
	Owner        string        `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the items" example:"lead"`
	EntityTypeID int           `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"=inputs.helper_type"`
	Filter       engine.Fields `yaml:"filter" validate:"required" doc:"fields and the values that they must have" example:"{ufCrm5InvoiceId: =event.id}"`
	Limit        int           `yaml:"limit" validate:"min=1,max=5000" default:"50" doc:"the largest number of items to delete; more are an error"`
}

const defaultDeleteItems = 50

func deletedType(*engine.ArgTypes) formula.Type {
	return formula.RecordOf(map[string]formula.Type{"deleted": {Kind: formula.Int}})
}

func checkDeleteItems(c *engine.StepCheck) {
	checkOwner(c)
	if t := c.Types().Type("filter"); c.Types().Given("filter") && len(t.Fields) == 0 && !t.Open {
		c.Errorf("filter", "empty-filter", "an empty filter deletes everything")
	}
	if c.Types().Portal() != nil {
		checkItemFields(c, "filter", false)
	}
}

func deleteItems(ctx context.Context, c *engine.Call, a deleteItemsArgs) (any, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	conditions, err := plan.ParseConditions(a.Filter, schema.Resolve)
	if err != nil {
		return nil, err
	}
	if err := plan.RefuseEmpty(conditions); err != nil {
		return nil, err
	}
	limit := a.Limit
	if limit == 0 {
		limit = defaultDeleteItems
	}
	items, err := schema.FindItems(ctx, c, conditions, plan.ItemQuery{Selected: []string{"id"}, Order: plan.ByID(), Limit: limit, Strict: true})
	if err != nil || len(items) == 0 {
		return map[string]any{"deleted": count(0)}, err
	}
	if err := c.Deleting(len(items)); err != nil {
		return nil, err
	}
	deleted, err := plan.Delete(ctx, c, &plan.ItemTarget{Schema: schema}, items)
	c.Note("deleted %d items of type %d", deleted, schema.Type)
	return map[string]any{"deleted": count(deleted)}, err
}
