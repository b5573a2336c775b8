package crm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// itemType finds the type that a call of crm.item.* names.
func itemType(c *rest.Call) (*model.EntityType, error) {
	id, err := c.IntParam("entityTypeId")
	if err != nil {
		return nil, err
	}
	if id == model.TypeOldInvoice {
		return nil, rest.Fail("ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
	}
	if t := c.Store.Types[int(id)]; t != nil {
		return t, nil
	}
	return nil, rest.Fail("NOT_FOUND", "Smart process not found")
}

// itemOf finds the item that a call of crm.item.* names.
func itemOf(c *rest.Call) (*model.Item, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	id, err := c.IntParam("id")
	if err != nil {
		return nil, err
	}
	it := c.Store.Item(t.ID, id)
	switch {
	case it == nil:
		return nil, rest.Fail("NOT_FOUND", "Element not found")
	case !sees(c, it):
		return nil, rest.Fail("ACCESS_DENIED", "Access denied")
	}
	return it, nil
}

// sees reports whether the caller may read and write an item.
func sees(c *rest.Call, it *model.Item) bool {
	return !c.OwnItems() || it.Values["ASSIGNED_BY_ID"] == c.Request.User
}

func namesOf(c *rest.Call) naming {
	return naming{original: value.Text(c.Param("useOriginalUfNames")) == "Y"}
}

// itemGet is crm.item.get.
func itemGet(c *rest.Call) (any, error) {
	it, err := itemOf(c)
	if err != nil {
		return nil, err
	}
	return itemAnswer(c, it), nil
}

// itemAnswer is how get, add and update answer.
func itemAnswer(c *rest.Call, it *model.Item) *php.Array {
	return value.Object("item", itemJSON(c.Store, it, namesOf(c), nil))
}

// itemList is crm.item.list.
func itemList(c *rest.Call) (any, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	filter, order, err := c.Conditions()
	if err != nil {
		return nil, err
	}
	names := namesOf(c)
	find := itemColumns(func(name string) *model.Field { return names.lookup(t.Fields, name) })
	r := rest.StrictRules(c.Store, find)
	r.Parse = func(col query.Column[*model.Item], v any) (any, bool) { return parseItemValue(c.Store, col, v) }
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	keys, err := rest.StrictOrder(order, find)
	if err != nil {
		return nil, err
	}
	only, err := selection(c, t, names)
	if err != nil {
		return nil, err
	}
	rows := query.Keep(itemCandidates(c, t.ID, filter, r), pass)
	query.Sort(rows, keys)
	items := php.NewArray()
	for _, it := range rest.Page(c, rows) {
		items.Append(itemJSON(c.Store, it, names, only))
	}
	return value.Object("items", items), nil
}

// itemCandidates returns items in the order of their ids, among them all that a filter can
// find. Those that the caller may not read are omitted, as portals do (crm.item.list).
func itemCandidates(c *rest.Call, entityTypeID int, filter *php.Array, rules *query.Rules[*model.Item]) []*model.Item {
	rows := indexed(c, entityTypeID, filter, rules)
	if c.OwnItems() {
		rows = query.Keep(rows, func(it *model.Item) bool { return sees(c, it) })
	}
	return rows
}

// indexed returns the items of a type that a filter can find: by their ids, or by the ids after
// one.
func indexed(c *rest.Call, entityTypeID int, filter *php.Array, rules *query.Rules[*model.Item]) []*model.Item {
	table := c.Store.Table(entityTypeID)
	for key, v := range filter.All() {
		if strings.EqualFold(key, "logic") && strings.EqualFold(value.Text(v), "or") {
			return table.All()
		}
	}
	for key, v := range filter.All() {
		if strings.EqualFold(key, ">id") {
			return table.After(value.Int(v))
		}
		if name, ids, ok := rules.Equal(key, v); ok && name == "ID" {
			var found []*model.Item
			for _, id := range ids {
				if it := table.ByID[id.(int64)]; it != nil {
					found = append(found, it)
				}
			}
			slices.SortFunc(found, func(a, b *model.Item) int { return cmp.Compare(a.ID, b.ID) })
			return slices.Compact(found)
		}
	}
	return table.All()
}

// selection reads select: it omits unknown names, and without
// any, or with "*", it is everything (nil).
func selection(c *rest.Call, t *model.EntityType, names naming) (map[*model.Field]bool, error) {
	chosen, err := c.ArrayParam("select")
	if err != nil {
		return nil, err
	}
	if chosen.Len() == 0 {
		return nil, nil
	}
	only := map[*model.Field]bool{}
	for _, v := range chosen.All() {
		name := value.Text(v)
		if name == "*" {
			return nil, nil
		}
		// fm cannot be chosen; only "*" brings it.
		if f := names.lookup(t.Fields, name); f != nil && f.Type != model.TypeMultifield {
			only[f] = true
		}
	}
	return only, nil
}

// itemColumns makes the fields of items something to filter and order by.
func itemColumns(lookup func(string) *model.Field) func(string) (query.Column[*model.Item], bool) {
	return func(name string) (query.Column[*model.Item], bool) {
		f := lookup(name)
		if f == nil || f.Has(model.Disabled) || f.Type == model.TypeMultifield {
			return query.Column[*model.Item]{}, false
		}
		return query.Column[*model.Item]{Name: f.Name, Kind: f.Kind(), Get: func(it *model.Item) any {
			switch v := it.Values[f.Name]; {
			case v == nil && f.Has(model.ZeroNull):
				return int64(0)
			case v == nil && f.Kind() == query.Bool:
				return false
			default:
				return v
			}
		}}, true
	}
}

// parseItemValue reads a filter's value. A custom yes/no field is filtered by
// 1 and 0 only, though it is read and written as Y and N.
func parseItemValue(s *model.Store, col query.Column[*model.Item], v any) (any, bool) {
	if col.Kind == query.Bool && strings.HasPrefix(col.Name, "UF_") {
		return value.Int(v) != 0, true
	}
	return query.Parse(s.Zone, col.Kind, v)
}

// readFields turns the fields of a call into stored values. Keys that are not
// known or cannot be written are ignored without a word; whatever PHP takes for
// empty sets null, 0 and "0" too.
func readFields(c *rest.Call, t *model.EntityType, adding bool) (map[string]any, error) {
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	return readItemValues(c, t, fields, adding)
}

func readItemValues(c *rest.Call, t *model.EntityType, fields *php.Array, adding bool) (map[string]any, error) {
	names := namesOf(c)
	changes := map[string]any{}
	for name, v := range fields.All() {
		f := names.lookup(t.Fields, name)
		if f == nil || f.Has(model.ReadOnly|model.Disabled) || f.Has(model.Immutable) && !adding || c.Forgets(f.Name) {
			continue
		}
		if f.Type == model.TypeMultifield {
			if entries, ok := value.Array(v); ok {
				changes[f.Name] = readMultifields(entries)
			}
			continue
		}
		if value.IsEmpty(v) {
			changes[f.Name] = nil
			continue
		}
		stored, ok, err := readValue(c.Store, f, v)
		if err != nil {
			return nil, err
		}
		if ok {
			changes[f.Name] = stored
		}
	}
	return changes, checkStage(t, changes)
}

// checkStage refuses a stage that no pipeline of the type has.
func checkStage(t *model.EntityType, changes map[string]any) error {
	id, _ := changes["STAGE_ID"].(string)
	if id == "" || t.Fields.ByName["STAGE_ID"] == nil {
		return nil
	}
	if !slices.ContainsFunc(t.Categories, func(c *model.Category) bool { _, ok := c.Stage(id); return ok }) {
		return invalidValue(t.Fields.ByName["STAGE_ID"])
	}
	return nil
}

// itemAdd is crm.item.add.
func itemAdd(c *rest.Call) (any, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	changes, err := readFields(c, t, true)
	if err != nil {
		return nil, err
	}
	it, err := addItem(c, t, changes)
	if err != nil {
		return nil, err
	}
	return itemAnswer(c, it), nil
}

// itemUpdate is crm.item.update. It saves nothing where nothing differs.
func itemUpdate(c *rest.Call) (any, error) {
	it, err := itemOf(c)
	if err != nil {
		return nil, err
	}
	changes, err := readFields(c, it.Type, false)
	if err != nil {
		return nil, err
	}
	if err := saveItem(c, it, changes, saveOptions{}); err != nil {
		return nil, err
	}
	return itemAnswer(c, it), nil
}

// itemDelete is crm.item.delete. Its result is an empty array.
func itemDelete(c *rest.Call) (any, error) {
	it, err := itemOf(c)
	if err != nil {
		return nil, err
	}
	deleteItem(c, it)
	return php.NewArray(), nil
}

// itemFields is crm.item.fields.
func itemFields(c *rest.Call) (any, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	names := namesOf(c)
	fields := php.NewArray()
	for _, f := range t.Fields.All {
		if f.Has(model.Disabled | model.LegacyOnly) {
			continue
		}
		d := describeField(f, t)
		d.Set("upperName", f.Name)
		fields.Set(names.name(f), d)
		if f.Name == "CONTACT_IDS" {
			// Described, and never seen in an answer.
			d := describeField(model.NewField("CONTACTS", "crm_contact", "CONTACTS", model.Multiple), t)
			d.Set("upperName", "CONTACTS")
			fields.Set("contacts", d)
		}
	}
	return value.Object("fields", fields), nil
}

// defaultTitle is what an item without a title is called.
func defaultTitle(it *model.Item) string { return fmt.Sprintf("%s #%d", it.Type.Title, it.ID) }

func ItemMethods() []rest.Method {
	return []rest.Method{
		{Name: "crm.item.get", Scope: "crm", Run: itemGet},
		{Name: "crm.item.list", Scope: "crm", Run: itemList},
		{Name: "crm.item.add", Scope: "crm", Run: itemAdd},
		{Name: "crm.item.update", Scope: "crm", Run: itemUpdate},
		{Name: "crm.item.delete", Scope: "crm", Run: itemDelete},
		{Name: "crm.item.fields", Scope: "crm", Run: itemFields},
		{Name: "crm.item.import", Scope: "crm", Run: itemImport},
		{Name: "crm.item.batchImport", Scope: "crm", Run: itemBatchImport},
		{Name: "crm.item.productrow.get", Scope: "crm", Run: rowGet},
		{Name: "crm.item.productrow.list", Scope: "crm", Run: rowList},
		{Name: "crm.item.productrow.add", Scope: "crm", Run: rowAdd},
		{Name: "crm.item.productrow.update", Scope: "crm", Run: rowUpdate},
		{Name: "crm.item.productrow.delete", Scope: "crm", Run: rowDelete},
		{Name: "crm.item.productrow.set", Scope: "crm", Run: rowSet},
		{Name: "crm.item.productrow.getAvailableForPayment", Scope: "crm", Run: rowsAvailable},
		{Name: "crm.item.productrow.fields", Scope: "crm", Run: rowFields},
	}
}
