package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

// itemSchema is what a portal says of the fields of one CRM type.
type itemSchema struct {
	typ    int
	fields []*value.Field
	byName map[string]*value.Field // also by the stored name: UF_CRM_5_TOTAL
}

// resolve finds a field by its name. The portal ignores unknown names of fields
// without a word, so they are refused here.
func (s *itemSchema) resolve(name string) (*value.Field, error) {
	if f := s.byName[name]; f != nil {
		return f, nil
	}
	known := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		known = append(known, f.Name)
	}
	if near := diag.Closest(name, known); near != "" {
		return nil, engine.ParkError("items of type %d have no field %q, did you mean %q?", s.typ, name, near)
	}
	return nil, engine.ParkError("items of type %d have no field %q", s.typ, name)
}

// wishes resolves and checks named values.
func (s *itemSchema) wishes(fields engine.Fields) ([]wish, error) {
	out := make([]wish, 0, len(fields))
	for _, x := range fields {
		f, err := s.resolve(x.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(w wish) bool { return w.field == f }) {
			return nil, engine.ParkError("field %s is named twice", f.Name)
		}
		if err := f.Check(x.Value); err != nil {
			return nil, engine.ParkError("%w", err)
		}
		out = append(out, wish{f, x.Value})
	}
	return out, nil
}

// itemFields are the fields of crm.item.add and update.
func itemFields(wishes []wish) map[string]any {
	out := make(map[string]any, len(wishes))
	for _, w := range wishes {
		out[w.field.Name] = w.field.ItemValue(w.value)
	}
	return out
}

func updateItemCall(typ, id int, wishes []wish) bitrix.Call {
	return bitrix.Call{Method: "crm.item.update", Write: true, Params: map[string]any{
		"entityTypeId": typ, "id": id, "fields": itemFields(wishes),
	}}
}

func addItemCall(typ int, wishes []wish) bitrix.Call {
	// What is to be empty is said too: the portal may have something of its own
	// for a field that is not given.
	return bitrix.Call{Method: "crm.item.add", Write: true, Params: map[string]any{"entityTypeId": typ, "fields": itemFields(wishes)}}
}

func deleteItemCall(typ, id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.delete", Write: true, Params: map[string]any{"entityTypeId": typ, "id": id}}
}

// noteRefused says which fields did not take their values: the portal ignores
// what it cannot read, and computes some fields itself.
func noteRefused(c *engine.Call, stored *Record, wishes []wish) {
	for _, w := range stored.Differing(wishes) {
		c.Note("field %s did not take its value: the portal ignored it or sets the field by itself", w.field.Name)
	}
}

// decodeItems reads the rows of crm.item.list.
func (s *itemSchema) decodeItems(raw []json.RawMessage) ([]*Record, error) {
	out := make([]*Record, 0, len(raw))
	seen := map[int]bool{}
	for _, r := range raw {
		v, err := formula.FromJSON(r)
		if err != nil {
			return nil, fmt.Errorf("read an item: %w", err)
		}
		item, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("read an item: want an object, got %s", value.KindOf(v))
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

// newItem makes a record of an item's fields.
func (s *itemSchema) newItem(fields map[string]any) (*Record, error) {
	n, ok := value.NumberOf(fields["id"])
	id, whole := n.Int64()
	if !ok || !whole || id <= 0 {
		return nil, fmt.Errorf("read an item: it has no id")
	}
	return &Record{ID: int(id), typ: s.typ, Values: fields}, nil
}

// decodeItem reads {"item": {…}} as get, add and update answer it.
func (s *itemSchema) decodeItem(raw json.RawMessage) (*Record, error) {
	item, err := decodeItem(raw)
	if err != nil {
		return nil, err
	}
	return s.newItem(item)
}

// findItems lists the items that fulfil a filter and checks each against it.
func (s *itemSchema) findItems(ctx context.Context, c *engine.Call, conditions []condition, q itemQuery) ([]*Record, error) {
	params := map[string]any{
		"entityTypeId": s.typ, "filter": filterParams(conditions, itemFilterOne), "order": q.order, "start": 0,
	}
	if len(q.selected) > 0 {
		selected := append([]string{"id"}, q.selected...)
		for _, cond := range conditions {
			if cond.field != nil {
				selected = append(selected, cond.field.Name)
			}
		}
		slices.Sort(selected)
		params["select"] = slices.Compact(selected)
	}
	raw, err := readPages(ctx, c, bitrix.Call{Method: "crm.item.list", Params: params}, "items", q.limit)
	if err != nil {
		return nil, err
	}
	items, err := s.decodeItems(raw)
	if err != nil {
		return nil, err
	}
	inside := make([]*Record, 0, len(items))
	for _, item := range items {
		value := func(f *value.Field) (any, bool) { v, ok := item.Values[f.Name]; return v, ok }
		in, err := verify(conditions, value, item.String(), q.strict)
		if err != nil {
			return nil, err
		}
		if in {
			inside = append(inside, item)
		}
	}
	return inside, nil
}

// itemQuery says what of the items to read and how many at most.
type itemQuery struct {
	selected []string
	order    map[string]any
	limit    int
	strict   bool // refuse what cannot be checked, and return only exact matches
}

// byID is the order in which pages do not shift.
func byID() map[string]any { return map[string]any{"id": "ASC"} }

// itemOrder reads the argument order: asc or desc for one field.
func (s *itemSchema) itemOrder(order engine.Fields) (map[string]any, error) {
	if len(order) == 0 {
		return byID(), nil
	}
	if len(order) > 1 {
		return nil, engine.ParkError("order takes one field, sort the result for more")
	}
	f, err := s.resolve(order[0].Name)
	if err != nil {
		return nil, err
	}
	direction := strings.ToUpper(value.TextOf(order[0].Value))
	if direction != "ASC" && direction != "DESC" {
		return nil, engine.ParkError("order takes asc or desc for %s", f.Name)
	}
	return map[string]any{f.Name: direction}, nil
}

// keyOf is the key of an item; ours is false when none of its fields is filled.
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

// getItem is the call that reads one item.
func getItem(entityTypeID, id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": entityTypeID, "id": id}}
}

// decodeItem reads {"item": {…}} as get, add and update answer it.
func decodeItem(raw json.RawMessage) (map[string]any, error) {
	v, err := formula.FromJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("read an item: %w", err)
	}
	outer, _ := v.(map[string]any)
	item, ok := outer["item"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read an item: the answer holds none")
	}
	return item, nil
}

// findByKey reads the items that carry the key, the oldest first.
func (s *itemSchema) findByKey(ctx context.Context, c *engine.Call, key, fields []wish) ([]*Record, error) {
	conditions := make([]condition, len(key))
	selected := []string{"id"}
	for i, w := range key {
		conditions[i] = condition{field: w.field, op: "=", value: w.value}
		selected = append(selected, w.field.Name)
	}
	for _, w := range fields {
		selected = append(selected, w.field.Name)
	}
	call := bitrix.Call{Method: "crm.item.list", Params: map[string]any{
		"entityTypeId": s.typ, "filter": filterParams(conditions, itemFilterOne),
		"select": selected, "order": byID(), "start": 0,
	}}
	if call.Many = manyOwners(conditions[0], itemValue); call.Many != nil {
		call.Many.List, call.Many.Wrapper = "@"+key[0].field.Name, "items"
	}
	a := c.Portal.Do(ctx, call)[0]
	raw, err := decodeRows(a, "items")
	if err != nil {
		return nil, err
	}
	items, err := s.decodeItems(raw)
	if err != nil {
		return nil, err
	}
	var found []*Record
	for _, item := range items {
		if item.Holds(key) {
			found = append(found, item)
		}
	}
	// A database that takes ABC for abc returns a few items too many. A portal
	// that does not apply the filter returns everything, and ours may be on a
	// later page: adding one then would double it.
	if len(found) == 0 && a.Next >= 0 {
		return nil, engine.ParkError("upsert_item: the portal returned %d items of type %d, and those seen do not have the key: it does not apply this filter", a.Total, s.typ)
	}
	return found, nil
}
