package actions

import (
	"context"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// UpsertItem adds or updates one item that a key identifies.
var UpsertItem = engine.Define(engine.Spec[upsertItemArgs]{
	Name:       "upsert_item",
	Effect:     engine.Writes,
	AlsoCalled: []string{"create_item", "add_item"},
	Doc: `find an item by its key and update it, or add it

The key fields with their values identify the item. If there is no such item, the
step adds one with the key and the fields. Otherwise it writes only the fields
that differ. If several items have the key, the step updates the oldest.

The result has the id of the item and the flags created and updated.`,
	Says:          "finds the {owner|item of type @entityTypeId} whose {key} and writes what differs in {fields}; adds it if there is none",
	Cost:          engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(2), Worst: engine.Commands(2)},
	Run:           upsertItem,
	Prefetch:      func(ctx context.Context, c *engine.Call, a upsertItemArgs) (any, error) { return a.find(ctx, c) },
	PrefetchArgs:  []string{"owner", "entityTypeId", "key"},
	PrefetchNames: []string{"fields"},
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{
			"id": {Kind: formula.Int}, "created": {Kind: formula.Bool}, "updated": {Kind: formula.Bool},
		})
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Of: ownerArg(t), Adds: true, Updates: true, Which: "key", Fields: "fields", Names: []string{"key", "fields"}, Key: "key", Compares: true}}
	},
	Check: checkUpsertItem,
})

type upsertItemArgs struct {
	Owner        string        `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the item" example:"deal"`
	EntityTypeID int           `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"=inputs.helper_type"`
	Key          engine.Fields `yaml:"key" validate:"required" doc:"the fields that identify the item, and their values" example:"{ufCrm5InvoiceId: =event.id}"`
	Fields       engine.Fields `yaml:"fields" validate:"required" doc:"the fields to keep up to date; nil clears a field, omit leaves it unchanged" example:"{ufCrm5Total: =total}"`
	FmMode       string        `yaml:"fm_mode" validate:"oneof=add replace" doc:"replace deletes the phones, e-mail addresses and other entries of the kinds in fm that fm does not name; add, the default, keeps them" example:"replace"`
}

func upsertItem(ctx context.Context, c *engine.Call, a upsertItemArgs) (any, error) {
	f, err := engine.ReadAhead[*foundItems](ctx, c)
	if err != nil {
		return nil, err
	}
	key, fields, err := a.desired(f.schema)
	if err != nil {
		return nil, err
	}
	plan.NoteShortened(c, fields...)
	if len(f.items) == 0 {
		return addItem(ctx, c, f.schema, append(key, fields...))
	}
	if a.FmMode == fmReplace {
		fields = f.items[0].Replacing(fields)
	}
	return changeFound(ctx, c, f.schema, f.items, fields)
}

// foundItems are the items with a key, the oldest first.
type foundItems struct {
	schema *plan.ItemSchema
	items  []*plan.Record
}

// find reads the items with the key. Of the fields it needs the names.
func (a upsertItemArgs) find(ctx context.Context, c *engine.Call) (*foundItems, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	key, fields, err := a.desired(schema)
	if err != nil {
		return nil, err
	}
	items, err := schema.FindByKey(ctx, c, key, fields)
	if err != nil {
		return nil, err
	}
	return &foundItems{schema, items}, nil
}

// desired resolves and checks the arguments before the first call. A key without
// a value would find items of other rules and people.
func (a upsertItemArgs) desired(schema *plan.ItemSchema) (key, fields []plan.FieldValue, err error) {
	if len(a.Key) == 0 {
		return nil, nil, engine.ParkError("upsert_item: the key names no field")
	}
	if key, err = schema.FieldValues(a.Key); err != nil {
		return nil, nil, err
	}
	for _, w := range key {
		if w.Field.Empty(w.Value) {
			return nil, nil, engine.ParkError("upsert_item: the key %s has no value", w.Field.Name)
		}
		if _, isList := w.Value.([]any); isList {
			return nil, nil, engine.ParkError("upsert_item: the key %s is a list, but takes one value", w.Field.Name)
		}
	}
	if fields, err = schema.FieldValues(a.Fields); err != nil {
		return nil, nil, err
	}
	for _, w := range fields {
		for _, k := range key {
			if w.Field == k.Field {
				return nil, nil, engine.ParkError("upsert_item: field %s is in key and in fields", w.Field.Name)
			}
		}
	}
	return key, fields, nil
}

func addItem(ctx context.Context, c *engine.Call, s *plan.ItemSchema, values []plan.FieldValue) (any, error) {
	a := c.Portal.Do(ctx, plan.AddItemCall(s.Type, values))[0]
	if a.Err != nil {
		// The outcome may be unknown. The next attempt reads first.
		return nil, a.Err
	}
	item, err := s.DecodeItem(a.Result)
	if err != nil {
		return nil, err
	}
	plan.NoteRefused(c, item, values)
	c.Made(s.Place(), item.ID, engine.MadeWritten)
	c.Note("added %s", item)
	return upserted(item.ID, true, false), s.CheckFields(ctx, c, item, values)
}

func changeFound(ctx context.Context, c *engine.Call, s *plan.ItemSchema, found []*plan.Record, fields []plan.FieldValue) (any, error) {
	item := found[0]
	if len(found) > 1 {
		others := make([]string, 0, len(found)-1)
		for _, item := range found[1:] {
			others = append(others, strconv.Itoa(item.ID))
		}
		c.Note("%d items of type %d have the key: the step updates the oldest, %d; the others are %s", len(found), s.Type, item.ID, strings.Join(others, ", "))
	}
	updated, err := changeItem(ctx, c, s, item, fields)
	if bitrix.IsNotFound(err) {
		return nil, c.Missing(s.Type, item.ID, plan.Removed(item))
	}
	if err != nil {
		return nil, err
	}
	return upserted(item.ID, false, updated), nil
}

// changeItem writes the fields that differ and reports whether there were any. If
// the item no longer exists, bitrix.IsNotFound is true for the error.
func changeItem(ctx context.Context, c *engine.Call, s *plan.ItemSchema, item *plan.Record, fields []plan.FieldValue) (bool, error) {
	changed := item.Differing(fields)
	if len(changed) == 0 {
		c.Made(s.Place(), item.ID, engine.MadeKept)
		return false, nil
	}
	if err := s.CheckWrite(ctx, c, item, changed); err != nil {
		return false, err
	}
	a := c.Portal.Do(ctx, plan.UpdateItemCall(s.Type, item.ID, changed))[0]
	if a.Err != nil {
		return false, a.Err
	}
	stored, err := s.DecodeItem(a.Result)
	if err != nil {
		return false, err
	}
	c.Made(s.Place(), item.ID, engine.MadeWritten)
	c.Note("updated %s: %s", item, plan.FieldNames(changed))
	return true, s.CheckKept(ctx, c, stored, changed)
}

func upserted(id int, created, updated bool) map[string]any {
	return map[string]any{"id": count(id), "created": created, "updated": updated}
}
