package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

// ItemSchema describes the fields of one CRM type.
type ItemSchema struct {
	Type   int
	fields []*value.Field
	byName map[string]*value.Field // also by the stored name: UF_CRM_5_TOTAL
}

// Place is where the items are, for engine.Call.Made.
func (s *ItemSchema) Place() string { return engine.PlaceOfItems(s.Type) }

// Resolve finds a field by its name. An unknown name is an error, because the
// portal ignores it silently.
func (s *ItemSchema) Resolve(name string) (*value.Field, error) {
	if f := s.byName[name]; f != nil {
		return f, nil
	}
	known := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		known = append(known, f.Name)
	}
	if near := diag.Closest(name, known); near != "" {
		return nil, engine.ParkErrorOf(engine.ParkedByMissing, "items of type %d have no field %q, did you mean %q?", s.Type, name, near)
	}
	return nil, engine.ParkErrorOf(engine.ParkedByMissing, "items of type %d have no field %q", s.Type, name)
}

// FieldValues resolves and checks named values.
func (s *ItemSchema) FieldValues(fields engine.Fields) ([]FieldValue, error) {
	out := make([]FieldValue, 0, len(fields))
	for _, x := range fields {
		f, err := s.Resolve(x.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(w FieldValue) bool { return w.Field == f }) {
			return nil, engine.ParkError("field %s is named twice", f.Name)
		}
		if err := f.Check(x.Value); err != nil {
			return nil, engine.ParkError("%w", err)
		}
		out = append(out, FieldValue{f, x.Value})
	}
	return out, nil
}

// itemFields are the fields of crm.item.add and update.
func itemFields(desired []FieldValue) map[string]any {
	out := make(map[string]any, len(desired))
	for _, w := range desired {
		out[w.Field.Name] = w.Field.ItemValue(w.Value)
	}
	return out
}

// UpdateItemCall is the call that updates one item.
func UpdateItemCall(typ, id int, desired []FieldValue) bitrix.Call {
	fields := itemFields(desired)
	for _, w := range desired {
		if w.Field.Kind == value.KindMultifields {
			fields[w.Field.Name] = value.ChangedMultifields(w.Value)
		}
	}
	return bitrix.Call{Method: "crm.item.update", Write: true, Params: map[string]any{
		"entityTypeId": typ, "id": id, "fields": fields,
	}}
}

// AddItemCall is the call that adds an item.
func AddItemCall(typ int, desired []FieldValue) bitrix.Call {
	// Empty values are sent too, because the portal may have a default for a
	// missing field.
	return bitrix.Call{Method: "crm.item.add", Write: true, Params: map[string]any{"entityTypeId": typ, "fields": itemFields(desired)}}
}

func deleteItemCall(typ, id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.delete", Write: true, Params: map[string]any{"entityTypeId": typ, "id": id}}
}

// decodeItems decodes rows of crm.item.list.
func (s *ItemSchema) decodeItems(raw []json.RawMessage) ([]*Record, error) {
	out := make([]*Record, 0, len(raw))
	seen := map[int]bool{}
	for _, r := range raw {
		v, err := formula.FromJSON(r)
		if err != nil {
			return nil, fmt.Errorf("read an item: %w", err)
		}
		item, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("read an item: got %s instead of an object", value.KindOf(v))
		}
		r, err := s.newItem(item)
		if err != nil {
			return nil, err
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			out = append(out, r)
		}
	}
	return out, nil
}

// newItem returns a record with an item's fields.
func (s *ItemSchema) newItem(fields map[string]any) (*Record, error) {
	n, ok := value.NumberOf(fields["id"])
	id, whole := n.Int64()
	if !ok || !whole || id <= 0 {
		return nil, fmt.Errorf("read an item: it has no id")
	}
	return &Record{ID: int(id), typ: s.Type, Values: fields}, nil
}

// DecodeItem decodes {"item": {…}}, the answer of get, add and update.
func (s *ItemSchema) DecodeItem(raw json.RawMessage) (*Record, error) {
	item, err := DecodeItem(raw)
	if err != nil {
		return nil, err
	}
	return s.newItem(item)
}

// FindItems reads the items that match a filter and checks each against it.
func (s *ItemSchema) FindItems(ctx context.Context, c *engine.Call, conditions []Condition, q ItemQuery) ([]*Record, error) {
	params := map[string]any{
		"entityTypeId": s.Type, "filter": FilterParams(conditions, itemFilterOne), "order": q.Order, "start": 0,
	}
	if len(q.Selected) > 0 {
		selected := append([]string{"id"}, q.Selected...)
		for _, cond := range conditions {
			if cond.Field != nil {
				selected = append(selected, cond.Field.Name)
			}
		}
		selected = s.selectable(selected)
		slices.Sort(selected)
		params["select"] = slices.Compact(selected)
	}
	raw, err := ReadPages(ctx, c, bitrix.Call{Method: "crm.item.list", Params: params}, "items", q.Limit)
	if err != nil {
		return nil, err
	}
	items, err := s.decodeItems(raw)
	if err != nil {
		return nil, err
	}
	var asked []FieldValue
	for _, cond := range conditions {
		if cond.Field != nil {
			asked = append(asked, FieldValue{Field: cond.Field})
		}
	}
	for _, name := range q.Selected {
		if f := s.byName[name]; f != nil {
			asked = append(asked, FieldValue{Field: f})
		}
	}
	if err := s.checkListed(ctx, c, items, asked); err != nil {
		return nil, err
	}
	inside := make([]*Record, 0, len(items))
	for _, item := range items {
		value := func(f *value.Field) (any, bool) { v, ok := item.Values[f.Name]; return v, ok }
		in, err := Verify(conditions, value, item.String(), q.Strict)
		if err != nil {
			return nil, err
		}
		if in {
			inside = append(inside, item)
		}
	}
	return inside, nil
}

// selectable is a select with these fields. A listing has fm only with *.
func (s *ItemSchema) selectable(names []string) []string {
	for i, name := range names {
		if f := s.byName[name]; f != nil && f.Kind == value.KindMultifields {
			names[i] = "*"
		}
	}
	return names
}

// ItemQuery is the rest of a query by a filter.
type ItemQuery struct {
	Selected []string
	Order    map[string]any
	Limit    int
	Strict   bool // fail if the filter cannot be checked, and return only exact matches
}

// ByID is the order by id, in which added items do not shift pages.
func ByID() map[string]any { return map[string]any{"id": "ASC"} }

// Order reads the argument order: asc or desc for one field.
func (s *ItemSchema) Order(order engine.Fields) (map[string]any, error) {
	if len(order) == 0 {
		return ByID(), nil
	}
	if len(order) > 1 {
		return nil, engine.ParkError("order takes one field: sort the result in a formula for more")
	}
	f, err := s.Resolve(order[0].Name)
	if err != nil {
		return nil, err
	}
	direction := strings.ToUpper(value.TextOf(order[0].Value))
	if direction != "ASC" && direction != "DESC" {
		return nil, engine.ParkError("order of %s must be asc or desc", f.Name)
	}
	return map[string]any{f.Name: direction}, nil
}

// keyOf is the key of an item. ours is false if all its key fields are empty.
func keyOf(item *Record, keys []*value.Field) (text string, ours bool) {
	texts := make([]string, 0, len(keys))
	for _, f := range keys {
		v := item.Values[f.Name]
		if f.Empty(v) {
			continue
		}
		ours = true
		texts = append(texts, f.Name+"="+f.Canonical(v))
	}
	slices.Sort(texts)
	return strings.Join(texts, "\x00"), ours
}

// ItemKey writes the values of key fields as one text, as keyOf does for an item.
func ItemKey(values []FieldValue) (string, error) {
	if len(values) == 0 {
		return "", errors.New("the key names no field")
	}
	texts := make([]string, len(values))
	for i, k := range values {
		if k.Field.Empty(k.Value) {
			return "", fmt.Errorf("the key %s has no value", k.Field.Name)
		}
		texts[i] = k.Field.Name + "=" + k.Field.Canonical(k.Value)
	}
	slices.Sort(texts)
	return strings.Join(texts, "\x00"), nil
}

// Keyless reports whether all key fields of an item are empty: no step with this key made it.
func Keyless(r *Record, key []FieldValue) bool {
	return !slices.ContainsFunc(key, func(k FieldValue) bool { return !k.Field.Empty(r.Values[k.Field.Name]) })
}

// GetItemCall is the call that reads one item.
func GetItemCall(entityTypeID, id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": entityTypeID, "id": id}}
}

// DecodeItem decodes {"item": {…}}, the answer of get, add and update.
func DecodeItem(raw json.RawMessage) (map[string]any, error) {
	v, err := formula.FromJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("read an item: %w", err)
	}
	outer, _ := v.(map[string]any)
	item, ok := outer["item"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read an item: the answer has none")
	}
	return item, nil
}

// FindByKey reads the items that have the key, the oldest first.
func (s *ItemSchema) FindByKey(ctx context.Context, c *engine.Call, key, fields []FieldValue) ([]*Record, error) {
	conditions := make([]Condition, len(key))
	selected := []string{"id"}
	for i, w := range key {
		conditions[i] = Condition{Field: w.Field, Op: "=", Value: w.Value}
		selected = append(selected, w.Field.Name)
	}
	for _, w := range fields {
		selected = append(selected, w.Field.Name)
	}
	call := bitrix.Call{Method: "crm.item.list", Params: map[string]any{
		"entityTypeId": s.Type, "filter": FilterParams(conditions, itemFilterOne),
		"select": s.selectable(selected), "order": ByID(), "start": 0,
	}}
	if call.Many = manyOwners(conditions[0], itemValue); call.Many != nil {
		call.Many.List, call.Many.Wrapper = "@"+key[0].Field.Name, "items"
	}
	a := c.Portal.Do(ctx, call)[0]
	raw, more, err := bitrix.FirstPage(call.Method, a, "items")
	if err != nil {
		return nil, err
	}
	items, err := s.decodeItems(raw)
	if err != nil {
		return nil, err
	}
	if err := s.checkListed(ctx, c, items, append(slices.Clone(key), fields...)); err != nil {
		return nil, err
	}
	var found []*Record
	for _, item := range items {
		if item.Holds(key) {
			found = append(found, item)
		}
	}
	// A database that ignores case also returns items with another key. But a
	// portal that does not apply the filter returns all items, and ours may be on
	// a later page. Adding one would then make a second one.
	if len(found) == 0 && more {
		return nil, engine.ParkError("upsert_item: the portal returned %d items of type %d, and none of the first has the key: it does not apply this filter", a.Total, s.Type)
	}
	return found, nil
}

// Read reads one item. If it does not exist, the error is that of c.Missing.
func (s *ItemSchema) Read(ctx context.Context, c *engine.Call, id int) (*Record, error) {
	a := c.Portal.Do(ctx, GetItemCall(s.Type, id))[0]
	if bitrix.IsNotFound(a.Err) {
		return nil, c.Missing(s.Type, id, a.Err)
	}
	if a.Err != nil {
		return nil, a.Err
	}
	return s.DecodeItem(a.Result)
}
