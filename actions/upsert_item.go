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

// UpsertItem makes sure that an item with a key exists and has the given fields.
var UpsertItem = engine.Define(engine.Spec[upsertItemArgs]{
	Name:       "upsert_item",
	Effect:     engine.Writes,
	AlsoCalled: []string{"create_item", "add_item"},
	Doc: `find an item by its key and change it, or add it

The item is the one whose key fields have the given values. It is added with
the key and the fields when there is none; else only the fields that differ are
written, and nothing when none does. Of several items the oldest is kept up to
date.

The result has the item's id and says whether it was created or updated.`,
	Says:          "finds the {owner|item of type @entityTypeId} whose {key} and writes what differs in {fields}; adds it when there is none",
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
	Owner        string        `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"what the item is" example:"deal"`
	EntityTypeID int           `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"=inputs.helper_type"`
	Key          engine.Fields `yaml:"key" validate:"required" doc:"the fields that identify the item, and their values" example:"{ufCrm5InvoiceId: =event.id}"`
	Fields       engine.Fields `yaml:"fields" validate:"required" doc:"the fields to keep up to date; nil clears, omit leaves alone" example:"{ufCrm5Total: =total}"`
}

func upsertItem(ctx context.Context, c *engine.Call, a upsertItemArgs) (any, error) {
	f, err := engine.ReadAhead[*foundItems](ctx, c)
	if err != nil {
		return nil, err
	}
	key, fields, err := a.wishes(f.schema)
	if err != nil {
		return nil, err
	}
	plan.NoteShortened(c, fields...)
	if len(f.items) == 0 {
		return addItem(ctx, c, f.schema, append(key, fields...))
	}
	return changeFound(ctx, c, f.schema, f.items, fields)
}

// foundItems are the items that carry a key, the oldest first.
type foundItems struct {
	schema *plan.ItemSchema
	items  []*plan.Record
}

// find reads the items that carry the key. Of the fields it needs the names.
func (a upsertItemArgs) find(ctx context.Context, c *engine.Call) (*foundItems, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	key, fields, err := a.wishes(schema)
	if err != nil {
		return nil, err
	}
	items, err := schema.FindByKey(ctx, c, key, fields)
	if err != nil {
		return nil, err
	}
	return &foundItems{schema, items}, nil
}

// wishes checks the arguments before anything is asked: a key without a value
// would find other people's items.
func (a upsertItemArgs) wishes(schema *plan.ItemSchema) (key, fields []plan.FieldValue, err error) {
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
			return nil, nil, engine.ParkError("upsert_item: the key %s is a list, want one value", w.Field.Name)
		}
	}
	if fields, err = schema.FieldValues(a.Fields); err != nil {
		return nil, nil, err
	}
	for _, w := range fields {
		for _, k := range key {
			if w.Field == k.Field {
				return nil, nil, engine.ParkError("upsert_item: field %s stands in key and in fields", w.Field.Name)
			}
		}
	}
	return key, fields, nil
}

func addItem(ctx context.Context, c *engine.Call, s *plan.ItemSchema, wishes []plan.FieldValue) (any, error) {
	a := c.Portal.Do(ctx, plan.AddItemCall(s.Type, wishes))[0]
	if a.Err != nil {
		// Also of an unknown outcome: the next attempt looks first.
		return nil, a.Err
	}
	item, err := s.DecodeItem(a.Result)
	if err != nil {
		return nil, err
	}
	plan.NoteRefused(c, item, wishes)
	c.Note("added %s", item)
	return upserted(item.ID, true, false), nil
}

func changeFound(ctx context.Context, c *engine.Call, s *plan.ItemSchema, found []*plan.Record, fields []plan.FieldValue) (any, error) {
	item := found[0]
	if len(found) > 1 {
		others := make([]string, 0, len(found)-1)
		for _, item := range found[1:] {
			others = append(others, strconv.Itoa(item.ID))
		}
		c.Note("%d items of type %d have the key: the oldest, %d, is kept up to date, the others are %s", len(found), s.Type, item.ID, strings.Join(others, ", "))
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

// changeItem writes the fields that differ and reports whether any did. An item
// that is gone by then is an error of the kind bitrix.IsNotFound.
func changeItem(ctx context.Context, c *engine.Call, s *plan.ItemSchema, item *plan.Record, fields []plan.FieldValue) (bool, error) {
	changed := item.Differing(fields)
	if len(changed) == 0 {
		return false, nil
	}
	a := c.Portal.Do(ctx, plan.UpdateItemCall(s.Type, item.ID, changed))[0]
	if a.Err != nil {
		return false, a.Err
	}
	stored, err := s.DecodeItem(a.Result)
	if err != nil {
		return false, err
	}
	plan.NoteRefused(c, stored, changed)
	c.Note("updated %s: %s", item, plan.FieldNames(changed))
	return true, nil
}

func upserted(id int, created, updated bool) map[string]any {
	return map[string]any{"id": count(id), "created": created, "updated": updated}
}
