package actions

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
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

If the key of a rule changes, the step would add a second item. With old_key it finds
the item of the old key, and gives it the new one. With match the step takes over an
item with empty key fields instead of adding one: the only one whose fields equal those
of match.

The result has the id of the item and the flags created and updated.`,
	Says:          "finds the {owner|item of type @entityTypeId} whose {key} and writes what differs in {fields}; adds it if there is none",
	Cost:          engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(2), Worst: engine.Commands(2)},
	Run:           upsertItem,
	Prefetch:      func(ctx context.Context, c *engine.Call, a upsertItemArgs) (any, error) { return a.find(ctx, c) },
	PrefetchArgs:  []string{"owner", "entityTypeId", "key", "old_key"},
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
	OldKey       engine.Fields `yaml:"old_key" doc:"the key before it was changed: the item with it gets the new one, and keeps what people wrote" example:"{ufCrm5Number: =deal.title}"`
	Match        engine.Fields `yaml:"match" doc:"takes over the only item with empty key fields whose fields are equal" example:"{title: =deal.title}"`
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
	all := append(slices.Clone(key), fields...)
	if c.Adopt != nil && len(a.Match) > 0 {
		return nil, a.adopt(ctx, c, f, key)
	}
	found, isNew := f.items, f.old // isNew says that the key is written, too
	if len(found) == 0 {
		if found, err = f.schema.Hidden(ctx, c, nil); err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(r *plan.Record) bool { return !r.Holds(key) })
	}
	if len(found) == 0 {
		if found, err = a.free(ctx, c, f.schema, all, key); err != nil {
			return nil, err
		}
		isNew = true
		switch {
		case len(found) == 0:
			return addItem(ctx, c, f.schema, all)
		case len(found) > 1:
			return nil, engine.ParkError("upsert_item: %d items with empty key fields have the values of match, such as %s and %s, so it cannot be known which one to take over", len(found), found[0], found[1])
		}
	}
	if isNew {
		fields = all
	}
	if a.FmMode == fmReplace {
		fields = found[0].Replacing(fields)
	}
	return changeFound(ctx, c, f.schema, found, fields)
}

// free reads the items that match takes over.
func (a upsertItemArgs) free(ctx context.Context, c *engine.Call, s *plan.ItemSchema, fields, key []plan.FieldValue) ([]*plan.Record, error) {
	match, err := s.FieldValues(a.Match)
	if err != nil {
		return nil, engine.ParkError("upsert_item, match: %w", err)
	}
	if !slices.ContainsFunc(match, func(v plan.FieldValue) bool { return !v.Field.Empty(v.Value) }) {
		return nil, nil // otherwise all items without values
	}
	found, err := s.FindByKey(ctx, c, match, fields)
	return slices.DeleteFunc(found, func(r *plan.Record) bool { return !plan.Keyless(r, key) }), err
}

// adopt takes an item over for a person who asks for that: only the key is written.
func (a upsertItemArgs) adopt(ctx context.Context, c *engine.Call, f *foundItems, key []plan.FieldValue) error {
	if len(f.items) > 0 {
		c.Adopt.Add(engine.Adopted{Place: f.schema.Place()})
		return nil
	}
	free, err := a.free(ctx, c, f.schema, key, key)
	if err != nil {
		return err
	}
	match, err := f.schema.FieldValues(a.Match)
	if err != nil {
		return engine.ParkError("upsert_item, match: %w", err)
	}
	d := plan.Desired{Exact: key, Match: match}
	if d.Key, err = plan.ItemKey(key); err != nil {
		return engine.ParkError("upsert_item: %w", err)
	}
	fields := make([]*value.Field, len(key))
	for i, k := range key {
		fields[i] = k.Field
	}
	return plan.AdoptItems(ctx, c, f.schema, free, []plan.Desired{d}, plan.ItemOptions(fields, false))
}

// foundItems are the items with a key, the oldest first. old says that it is the old key.
type foundItems struct {
	schema *plan.ItemSchema
	items  []*plan.Record
	old    bool
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
	if err != nil || len(items) > 0 || len(a.OldKey) == 0 {
		return &foundItems{schema: schema, items: items}, err
	}
	old, err := schema.FieldValues(a.OldKey)
	if err == nil {
		_, err = plan.ItemKey(old)
	}
	if err != nil {
		return nil, engine.ParkError("upsert_item, old_key: %w", err)
	}
	items, err = schema.FindByKey(ctx, c, old, append(slices.Clone(key), fields...))
	return &foundItems{schema, items, true}, err
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
