package emulator

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func categoryMethods() []method {
	return []method{
		{name: "crm.category.list", scope: "crm", run: categoryList},
		{name: "crm.category.get", scope: "crm", run: categoryGet},
		{name: "crm.category.fields", scope: "crm", run: categoryFields},
		{name: "crm.category.add", scope: "crm", run: adminOnly(categoryAdd)},
		{name: "crm.category.update", scope: "crm", run: adminOnly(categoryUpdate)},
		{name: "crm.category.delete", scope: "crm", run: adminOnly(categoryDelete)},
		{name: "crm.dealcategory.stage.list", scope: "crm", legacy: true, run: dealCategoryStages},
	}
}

// categoryType finds the type of a call of crm.category.*, which has to have
// pipelines.
func categoryType(c *call) (*entityType, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	if !t.pipelines {
		return nil, fail("ENTITY_TYPE_NOT_SUPPORTED", fmt.Sprintf("Entity type %s is not supported", t.code))
	}
	return t, nil
}

// categoryOf finds the pipeline that a call names.
func categoryOf(c *call) (*entityType, *category, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.intParam("id")
	if err != nil {
		return nil, nil, err
	}
	if cat := t.category(id); cat != nil {
		return t, cat, nil
	}
	return nil, nil, fail("NOT_FOUND", "Element not found")
}

// categoryJSON is a pipeline. Only those of deals name an origin, and not the
// first of them.
// https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html
func categoryJSON(t *entityType, cat *category) *php.Array {
	a := value.Object("id", cat.id, "name", cat.name, "sort", cat.sort, "entityTypeId", t.id, "isDefault", value.YesNo(cat.byDefault))
	if t.id == typeDeal && cat.id != 0 {
		a.Set("originId", cat.originID)
		a.Set("originatorId", cat.originator)
	}
	return a
}

// sortedCategories are the pipelines in the order of the portal's menu.
func sortedCategories(t *entityType) []*category {
	return slices.SortedStableFunc(slices.Values(t.categories), func(a, b *category) int { return cmp.Compare(a.sort, b.sort) })
}

// categoryList is crm.category.list, which has a total and no pages.
func categoryList(c *call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	categories := php.NewArray()
	for _, cat := range sortedCategories(t) {
		categories.Append(categoryJSON(t, cat))
	}
	c.total, c.hasTotal = categories.Len(), true
	return value.Object("categories", categories), nil
}

func categoryGet(c *call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	return value.Object("category", categoryJSON(t, cat)), nil
}

func categoryFields(c *call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	described := php.NewArray()
	add := func(name, typ string, set flags) {
		d := describeField((&field{name: name, typ: typ, title: name, flags: set}), t)
		d.Set("upperName", name)
		described.Set(value.CamelName(name), d)
	}
	add("ID", "integer", readOnly)
	add("NAME", "string", 0)
	add("SORT", "integer", 0)
	add("ENTITY_TYPE_ID", "integer", required|readOnly)
	add("IS_DEFAULT", "boolean", readOnly)
	add("ORIGIN_ID", "string", 0)
	add("ORIGINATOR_ID", "string", 0)
	return value.Object("fields", described), nil
}

// noCode is an error whose code is the number 0.
func noCode(text string) error { return &restError{status: 400, code: value.FromInt(0), text: text} }

// categoryAdd is crm.category.add.
func categoryAdd(c *call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.param("fields"))
	if !ok {
		return nil, c.wrongType("fields", "array")
	}
	name, _ := fields.Get("name")
	isDefault, _ := fields.Get("isDefault")
	switch {
	case value.IsEmpty(name):
		return nil, noCode("Field 'NAME' is required")
	case value.IsYes(isDefault) && isClient(t):
		return nil, noCode("Default client category does not support updating default state")
	}
	cat := addCategory(c.store(), t, value.Text(name))
	writeCategory(t, cat, fields)
	return value.Object("category", categoryJSON(t, cat)), nil
}

// isClient tells contacts and companies, whose categories are no pipelines.
func isClient(t *entityType) bool { return t.id == typeContact || t.id == typeCompany }

// addCategory makes one more pipeline of a type.
func addCategory(s *store, t *entityType, name string) *category {
	switch {
	case t.id == typeDeal:
		return s.addDealCategory(name)
	case isClient(t):
		t.categories = append(t.categories, &category{id: s.next("category"), name: name, sort: 500})
	case t.id == typeSmartInvoice:
		id := s.next("category")
		t.categories = append(t.categories, s.newCategory(category{
			id: id, name: name, sort: 500, prefix: fmt.Sprintf("DT31_%d", id), directory: fmt.Sprintf("SMART_INVOICE_STAGE_%d", id),
		}, invoiceStages()))
	default:
		t.categories = append(t.categories, s.dynamicCategory(t.id, name))
	}
	return t.categories[len(t.categories)-1]
}

// writeCategory takes the fields of crm.category.add and crm.category.update.
func writeCategory(t *entityType, cat *category, fields *php.Array) {
	for name, v := range fields.All() {
		switch name {
		case "name":
			cat.name = cmp.Or(value.Text(v), cat.name)
		case "sort":
			cat.sort = value.Int(v)
		case "originId":
			cat.originID = value.Text(v)
		case "originatorId":
			cat.originator = value.Text(v)
		case "isDefault":
			if value.IsYes(v) {
				for _, other := range t.categories {
					other.byDefault = other == cat
				}
			}
		}
	}
}

func categoryUpdate(c *call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := c.arrayParam("fields")
	if err != nil {
		return nil, err
	}
	writeCategory(t, cat, fields)
	return value.Object("category", categoryJSON(t, cat)), nil
}

// categoryDelete is crm.category.delete. A pipeline that has items stays.
func categoryDelete(c *call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	used := slices.ContainsFunc(c.store().table(t.id).all(), func(it *item) bool { return it.values["CATEGORY_ID"] == cat.id })
	deals := t.id == typeDeal
	switch {
	case isClient(t) && cat.byDefault:
		return nil, fail("REMOVING_DISABLED", "Deletion of system category is prohibited")
	case cat.byDefault && deals:
		return nil, noCode("Default deal category cannot be deleted")
	case cat.byDefault:
		return nil, fail("BX_ERROR", "This funnel is the default funnel")
	case used && deals:
		return nil, noCode("Deals related to the funnel " + cat.name + " found")
	case used:
		return nil, fail("BX_ERROR", "Elements related to the funnel found")
	}
	t.categories = slices.DeleteFunc(t.categories, func(x *category) bool { return x == cat })
	return nil, nil
}

// dealCategoryStages is crm.dealcategory.stage.list. SORT is a number there,
// unlike in crm.status.list.
func dealCategoryStages(c *call) (any, error) {
	answer := php.NewArray()
	if cat := c.store().types[typeDeal].category(value.Int(c.param("ID"))); cat != nil {
		answer = shortStages(cat.stages)
	}
	return answer, nil
}
