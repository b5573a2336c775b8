package actions

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// UpdateItem updates fields of one CRM item.
var UpdateItem = engine.Define(engine.Spec[updateItemArgs]{
	Name:   "update_item",
	Effect: engine.Writes,
	Doc: `update fields of one item of the CRM

The step reads the item first and writes only the fields that differ. Therefore a
rule that subscribes to its own change does not run endlessly: its second run
writes nothing.

The result has the id of the item and the flag updated.`,
	Says: "reads {owner|item of type @entityTypeId} {id} and writes what differs in {fields}",
	Cost: engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(2), Worst: engine.Commands(2)},
	Run:  updateItem,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"id": {Kind: formula.Int}, "updated": {Kind: formula.Bool}})
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Of: ownerArg(t), Updates: true, Which: "id", Fields: "fields", Names: []string{"fields"}, Compares: true}}
	},
	Check: checkUpdateItem,
})

type updateItemArgs struct {
	Owner        string        `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the item" example:"deal"`
	EntityTypeID int           `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"1072"`
	ID           int           `yaml:"id" validate:"required,min=1" doc:"the item's id" example:"=event.id"`
	Fields       engine.Fields `yaml:"fields" validate:"required" doc:"the fields and their values; nil clears a field, omit leaves it unchanged" example:"{title: Won}"`
	FmMode       string        `yaml:"fm_mode" validate:"oneof=add replace" doc:"replace deletes the phones, e-mail addresses and other entries of the kinds in fm that fm does not name; add, the default, keeps them" example:"replace"`
}

// fmReplace is the fm_mode that deletes the entries of fm which a rule does not name.
const fmReplace = "replace"

func updateItem(ctx context.Context, c *engine.Call, a updateItemArgs) (any, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	fields, err := schema.FieldValues(a.Fields)
	if err != nil {
		return nil, err
	}
	item, err := schema.Read(ctx, c, a.ID)
	if err != nil {
		return nil, err
	}
	plan.NoteShortened(c, fields...)
	if a.FmMode == fmReplace {
		fields = item.Replacing(fields)
	}
	updated, err := changeItem(ctx, c, schema, item, fields)
	if bitrix.IsNotFound(err) {
		return nil, c.Missing(schema.Type, a.ID, fmt.Errorf("%w: %w", plan.Removed(item), err))
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": count(a.ID), "updated": updated}, nil
}
