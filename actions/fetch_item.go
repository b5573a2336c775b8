package actions

import (
	"context"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// FetchItem reads one CRM item.
var FetchItem = engine.Define(engine.Spec[fetchItemArgs]{
	Name:   "fetch_item",
	Effect: engine.Reads,
	Doc: `read one item of the CRM: a deal, an invoice, an item of a smart process

Fields have the names of crm.item.get, such as stageId and ufCrm5_1721244707107.
Flags are the texts Y and N. Dates are texts in the form that the portal writes.

A missing item is an error, or nil with optional: true. If the run is about that
item, the run continues with its deleted steps instead.`,
	Says: "reads {owner|item of type @entityTypeId} {id}",
	Cost: engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(1), Worst: engine.Commands(1)},
	Run:  fetchItem,
	Result: func(t *engine.ArgTypes) formula.Type {
		typ := itemType(t)
		if optional, ok := t.Const("optional"); t.Given("optional") && !(ok && optional == false) {
			return typ.Optional()
		}
		return typ
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Reads: true, Of: ownerArg(t), Which: "id"}}
	},
	ReadsEntity: func(kind string) string { return "fetch_item: {owner: " + kind + ", id: =event.id}" },
	Check:       checkItemOfEvent,
})

type fetchItemArgs struct {
	Owner        string `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the item" example:"deal"`
	EntityTypeID int    `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"1072"`
	ID           int    `yaml:"id" validate:"required,min=1" doc:"the item's id" example:"=event.id"`
	Optional     bool   `yaml:"optional" default:"false" doc:"a missing item gives nil instead of an error"`
}

func fetchItem(ctx context.Context, c *engine.Call, a fetchItemArgs) (any, error) {
	typ, err := entityType(a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	answer := c.Portal.Do(ctx, plan.GetItemCall(typ, a.ID))[0]
	switch {
	case bitrix.IsNotFound(answer.Err) && a.Optional:
		return nil, nil
	case bitrix.IsNotFound(answer.Err):
		return nil, c.Missing(typ, a.ID, answer.Err)
	case answer.Err != nil:
		return nil, answer.Err
	}
	item, err := plan.DecodeItem(answer.Result)
	if err != nil {
		return nil, err
	}
	markDeleted(c, typ, item)
	return record(item, schemas.ItemFields(typ)), nil
}

// markDeleted marks the custom fields that items of the type have had and the item lacks. An
// item shows empty fields too.
func markDeleted(c *engine.Call, typ int, item map[string]any) {
	var custom []string
	for name := range item {
		if strings.HasPrefix(name, "ufCrm") {
			custom = append(custom, name)
		}
	}
	c.MarkDeleted(engine.PlaceOfItems(typ), item, custom)
}
