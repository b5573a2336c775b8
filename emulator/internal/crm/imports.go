package crm

import (
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// importLimit is how many items one call may import.
const importLimit = 20

// itemImport is crm.item.import: no robots run, who is and when can be set, and
// the answer has only the id.
// https://apidocs.bitrix24.com/api-reference/crm/universal/import/crm-item-import.html
func itemImport(c *rest.Call) (any, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	it, err := importItem(c, t, fields)
	if err != nil {
		return nil, err
	}
	return value.Object("item", value.Object("id", it.ID)), nil
}

// itemBatchImport is crm.item.batchImport. Its answer has an item or an error for
// each entry, under the keys of data.
func itemBatchImport(c *rest.Call) (any, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	data, ok := value.Array(c.Param("data"))
	if !ok {
		return nil, c.WrongType("data", "array")
	}
	if data.Len() > importLimit {
		return nil, rest.Fail("MAX_IMPORT_BATCH_SIZE_EXCEEDED", "You cannot import more than 20 items")
	}
	items := php.NewArray()
	for key, v := range data.All() {
		fields, ok := value.Array(v)
		if !ok {
			fields = php.NewArray()
		}
		it, err := importItem(c, t, fields)
		if err != nil {
			items.Set(key, rest.AsError(err).Body())
			continue
		}
		items.Set(key, value.Object("item", value.Object("id", it.ID)))
	}
	return value.Object("items", items), nil
}

// importable are read-only fields that an import may set.
var importable = [...]string{"CREATED_TIME", "UPDATED_TIME", "MOVED_TIME", "CREATED_BY", "UPDATED_BY", "MOVED_BY"}

func importItem(c *rest.Call, t *model.EntityType, fields *php.Array) (*model.Item, error) {
	changes, err := readItemValues(c, t, fields, true)
	if err != nil {
		return nil, err
	}
	names := namesOf(c)
	for _, stored := range importable {
		f := t.Fields.ByName[stored]
		if f == nil {
			continue
		}
		v, ok := fields.Get(names.name(f))
		if !ok || value.IsEmpty(v) {
			continue
		}
		if !c.IsAdmin() {
			return nil, invalidValue(f)
		}
		if v, ok, err := readValue(c.Store, f, v); err == nil && ok {
			changes[stored] = v
		}
	}
	if err := checkImportTimes(c, t, changes); err != nil {
		return nil, err
	}
	if err := requireNames(t, changes); err != nil {
		return nil, err
	}
	// Multifields have their legacy form here.
	var multifields []multifieldInput
	for name, v := range fields.All() {
		if model.IsMultifieldType(name) {
			multifields = append(multifields, readLegacyMultifields(name, v)...)
		}
	}
	if multifields != nil && t.Fields.ByName[model.MultifieldsName] != nil {
		changes[model.MultifieldsName] = multifields
	}
	return addItem(c, t, changes)
}

// requireNames checks the fields that an import needs.
func requireNames(t *model.EntityType, changes map[string]any) error {
	f := t.Fields.ByName["TITLE"]
	if f == nil || !f.Has(model.Required) || !query.IsBlank(changes["TITLE"]) {
		return nil
	}
	return rest.Fail("CRM_FIELD_ERROR_REQUIRED", "The \""+f.Title+"\" field is required")
}

// checkImportTimes refuses times that cannot have been: items are imported oldest
// first, nothing is later than now, and each change comes after the last.
// https://apidocs.bitrix24.com/api-reference/crm/universal/import/index.html
func checkImportTimes(c *rest.Call, t *model.EntityType, changes map[string]any) error {
	at := func(name string) time.Time {
		t, _ := changes[name].(time.Time)
		return t
	}
	created, updated, moved := at("CREATED_TIME"), at("UPDATED_TIME"), at("MOVED_TIME")
	var newest time.Time
	for _, it := range c.Store.Table(t.ID).ByID {
		if other, _ := it.Values["CREATED_TIME"].(time.Time); other.After(newest) {
			newest = other
		}
	}
	bad := ""
	switch {
	case !created.IsZero() && (created.After(c.Now) || created.Before(newest)):
		bad = "CREATED_TIME"
	case !updated.IsZero() && (updated.After(c.Now) || updated.Before(created)):
		bad = "UPDATED_TIME"
	case !moved.IsZero() && (moved.Before(created) || !updated.IsZero() && moved.After(updated)):
		bad = "MOVED_TIME"
	}
	if bad == "" || t.Fields.ByName[bad] == nil {
		return nil
	}
	return invalidValue(t.Fields.ByName[bad])
}
