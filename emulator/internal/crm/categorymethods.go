package crm

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func CategoryMethods() []rest.Method {
	return []rest.Method{
		{Name: "crm.category.list", Scope: "crm", Run: categoryList},
		{Name: "crm.category.get", Scope: "crm", Run: categoryGet},
		{Name: "crm.category.fields", Scope: "crm", Run: categoryFields},
		{Name: "crm.category.add", Scope: "crm", Run: rest.AdminOnly(categoryAdd)},
		{Name: "crm.category.update", Scope: "crm", Run: rest.AdminOnly(categoryUpdate)},
		{Name: "crm.category.delete", Scope: "crm", Run: rest.AdminOnly(categoryDelete)},
		{Name: "crm.dealcategory.stage.list", Scope: "crm", Legacy: true, Run: dealCategoryStages},
	}
}

// categoryType finds the type of a call of crm.category.*, which has to have
// pipelines.
func categoryType(c *rest.Call) (*model.EntityType, error) {
	t, err := itemType(c)
	if err != nil {
		return nil, err
	}
	if !t.Pipelines {
		return nil, rest.Fail("ENTITY_TYPE_NOT_SUPPORTED", fmt.Sprintf("Entity type %s is not supported", t.Code))
	}
	return t, nil
}

// categoryOf finds the pipeline that a call names.
func categoryOf(c *rest.Call) (*model.EntityType, *model.Category, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.IntParam("id")
	if err != nil {
		return nil, nil, err
	}
	if cat := t.Category(id); cat != nil {
		return t, cat, nil
	}
	return nil, nil, rest.Fail("NOT_FOUND", "Element not found")
}

// categoryJSON is a pipeline. Only those of deals name an origin, and not the
// first of them.
// https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html
func categoryJSON(t *model.EntityType, cat *model.Category) *php.Array {
	a := value.Object("id", cat.ID, "name", cat.Name, "sort", cat.Sort, "entityTypeId", t.ID, "isDefault", value.YesNo(cat.ByDefault))
	if t.ID == model.TypeDeal && cat.ID != 0 {
		a.Set("originId", cat.OriginID)
		a.Set("originatorId", cat.Originator)
	}
	return a
}

// sortedCategories are the pipelines in the order of the portal's menu.
func sortedCategories(t *model.EntityType) []*model.Category {
	return slices.SortedStableFunc(slices.Values(t.Categories), func(a, b *model.Category) int { return cmp.Compare(a.Sort, b.Sort) })
}

// categoryList is crm.category.list, which has a total and no pages.
func categoryList(c *rest.Call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	categories := php.NewArray()
	for _, cat := range sortedCategories(t) {
		categories.Append(categoryJSON(t, cat))
	}
	c.Total, c.HasTotal = categories.Len(), true
	return value.Object("categories", categories), nil
}

func categoryGet(c *rest.Call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	return value.Object("category", categoryJSON(t, cat)), nil
}

func categoryFields(c *rest.Call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	described := php.NewArray()
	add := func(name, typ string, set model.Flags) {
		d := describeField((&model.Field{Name: name, Type: typ, Title: name, Flags: set}), t)
		d.Set("upperName", name)
		described.Set(value.CamelName(name), d)
	}
	add("ID", "integer", model.ReadOnly)
	add("NAME", "string", 0)
	add("SORT", "integer", 0)
	add("ENTITY_TYPE_ID", "integer", model.Required|model.ReadOnly)
	add("IS_DEFAULT", "boolean", model.ReadOnly)
	add("ORIGIN_ID", "string", 0)
	add("ORIGINATOR_ID", "string", 0)
	return value.Object("fields", described), nil
}

// categoryAdd is crm.category.add.
func categoryAdd(c *rest.Call) (any, error) {
	t, err := categoryType(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	name, _ := fields.Get("name")
	isDefault, _ := fields.Get("isDefault")
	switch {
	case value.IsEmpty(name):
		return nil, rest.FailNoCode("Field 'NAME' is required")
	case value.IsYes(isDefault) && isClient(t):
		return nil, rest.FailNoCode("Default client category does not support updating default state")
	}
	cat := addCategory(c.Store, t, value.Text(name))
	writeCategory(t, cat, fields)
	return value.Object("category", categoryJSON(t, cat)), nil
}

// isClient tells contacts and companies, whose categories are no pipelines.
func isClient(t *model.EntityType) bool {
	return t.ID == model.TypeContact || t.ID == model.TypeCompany
}

// addCategory makes one more pipeline of a type.
func addCategory(s *model.Store, t *model.EntityType, name string) *model.Category {
	switch {
	case t.ID == model.TypeDeal:
		return s.AddDealCategory(name)
	case isClient(t):
		t.Categories = append(t.Categories, &model.Category{ID: s.Next("category"), Name: name, Sort: 500})
	case t.ID == model.TypeSmartInvoice:
		id := s.Next("category")
		t.Categories = append(t.Categories, s.NewCategory(model.Category{
			ID: id, Name: name, Sort: 500, Prefix: fmt.Sprintf("DT31_%d", id), Directory: fmt.Sprintf("SMART_INVOICE_STAGE_%d", id),
		}, model.InvoiceStages()))
	default:
		t.Categories = append(t.Categories, s.DynamicCategory(t.ID, name))
	}
	return t.Categories[len(t.Categories)-1]
}

// writeCategory takes the fields of crm.category.add and crm.category.update.
func writeCategory(t *model.EntityType, cat *model.Category, fields *php.Array) {
	for name, v := range fields.All() {
		switch name {
		case "name":
			cat.Name = cmp.Or(value.Text(v), cat.Name)
		case "sort":
			cat.Sort = value.Int(v)
		case "originId":
			cat.OriginID = value.Text(v)
		case "originatorId":
			cat.Originator = value.Text(v)
		case "isDefault":
			if value.IsYes(v) {
				for _, other := range t.Categories {
					other.ByDefault = other == cat
				}
			}
		}
	}
}

func categoryUpdate(c *rest.Call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := c.ArrayParam("fields")
	if err != nil {
		return nil, err
	}
	writeCategory(t, cat, fields)
	return value.Object("category", categoryJSON(t, cat)), nil
}

// categoryDelete is crm.category.delete. A pipeline that has items stays.
func categoryDelete(c *rest.Call) (any, error) {
	t, cat, err := categoryOf(c)
	if err != nil {
		return nil, err
	}
	used := slices.ContainsFunc(c.Store.Table(t.ID).All(), func(it *model.Item) bool { return it.Values["CATEGORY_ID"] == cat.ID })
	deals := t.ID == model.TypeDeal
	switch {
	case isClient(t) && cat.ByDefault:
		return nil, rest.Fail("REMOVING_DISABLED", "Deletion of system category is prohibited")
	case cat.ByDefault && deals:
		return nil, rest.FailNoCode("Default deal category cannot be deleted")
	case cat.ByDefault:
		return nil, rest.Fail("BX_ERROR", "This funnel is the default funnel")
	case used && deals:
		return nil, rest.FailNoCode("Deals related to the funnel " + cat.Name + " found")
	case used:
		return nil, rest.Fail("BX_ERROR", "Elements related to the funnel found")
	}
	t.Categories = slices.DeleteFunc(t.Categories, func(x *model.Category) bool { return x == cat })
	return nil, nil
}

// dealCategoryStages is crm.dealcategory.stage.list. SORT is a number there,
// unlike in crm.status.list.
func dealCategoryStages(c *rest.Call) (any, error) {
	answer := php.NewArray()
	if cat := c.Store.Types[model.TypeDeal].Category(value.Int(c.Param("ID"))); cat != nil {
		answer = shortStages(cat.Stages)
	}
	return answer, nil
}
