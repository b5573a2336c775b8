package lists

import (
	"cmp"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// listMessage is what a list calls something, such as its elements.
func listMessage(b *model.IBlock, name, byDefault string) string {
	return cmp.Or(b.Messages[name], byDefault)
}

// writeList takes FIELDS and MESSAGES of lists.add and lists.update.
func writeList(b *model.IBlock, c *rest.Call, g value.Fields) {
	if v, ok := g["NAME"]; ok && !value.IsEmpty(v) {
		b.Name = value.Text(v)
	}
	if v, ok := g["DESCRIPTION"]; ok {
		b.Description = value.Text(v)
	}
	g.Int("SORT", &b.Sort)
	if v, ok := g["BIZPROC"]; ok {
		b.Bizproc = v == "Y"
	}
	for name, v := range value.UpperFields(c.Param("MESSAGES")) {
		b.Messages[name] = value.Text(v)
	}
	b.Changed = c.SavedAt()
}

// listsAdd is lists.add. Its result is the id, a number.
func listsAdd(c *rest.Call) (any, error) {
	for _, name := range []string{"IBLOCK_TYPE_ID", "IBLOCK_CODE", "FIELDS"} {
		if value.IsEmpty(c.Param(name)) {
			return nil, rest.MissingParam(name)
		}
	}
	g := value.UpperFields(c.Param("FIELDS"))
	if value.IsEmpty(g["NAME"]) {
		return nil, rest.MissingParam("NAME")
	}
	s := c.Store
	code := value.Text(c.Param("IBLOCK_CODE"))
	for _, b := range s.Lists {
		if strings.EqualFold(b.Code, code) {
			return nil, rest.Fail("ERROR_IBLOCK_ALREADY_EXISTS", "Iblock already exists")
		}
	}
	b := s.AddList(model.List{TypeID: value.Text(c.Param("IBLOCK_TYPE_ID")), Code: code, Name: value.Text(g["NAME"])})
	writeList(b, c, g)
	return value.FromInt(b.ID), nil
}

// listsUpdate is lists.update.
func listsUpdate(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if _, ok := value.Array(c.Param("FIELDS")); !ok {
		return nil, rest.MissingParam("FIELDS")
	}
	writeList(b, c, value.UpperFields(c.Param("FIELDS")))
	return true, nil
}

// listsDelete is lists.delete: the elements go too, and there is no event.
func listsDelete(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	for _, e := range b.Elements.All() {
		recordElement(c, b, e, rest.OpDelete)
	}
	delete(c.Store.Lists, b.ID)
	return true, nil
}

func ListMethods() []rest.Method {
	return []rest.Method{
		{Name: "lists.get", Scope: "lists", Legacy: true, Run: listsGet},
		{Name: "lists.add", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listsAdd)},
		{Name: "lists.update", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listsUpdate)},
		{Name: "lists.delete", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listsDelete)},
		{Name: "lists.get.iblock.type.id", Scope: "lists", Legacy: true, Run: listsTypeID},
		{Name: "lists.field.get", Scope: "lists", Legacy: true, Run: listFieldGet},
		{Name: "lists.field.add", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listFieldAdd)},
		{Name: "lists.field.update", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listFieldUpdate)},
		{Name: "lists.field.delete", Scope: "lists", Legacy: true, Run: rest.AdminOnly(listFieldDelete)},
		{Name: "lists.field.type.get", Scope: "lists", Legacy: true, Run: listFieldTypes},
		{Name: "lists.section.get", Scope: "lists", Legacy: true, Run: sectionGet},
		{Name: "lists.section.add", Scope: "lists", Legacy: true, Run: sectionAdd},
		{Name: "lists.section.update", Scope: "lists", Legacy: true, Run: sectionUpdate},
		{Name: "lists.section.delete", Scope: "lists", Legacy: true, Run: sectionDelete},
		{Name: "lists.element.get", Scope: "lists", Legacy: true, Run: elementGet},
		{Name: "lists.element.add", Scope: "lists", Legacy: true, Run: elementAdd},
		{Name: "lists.element.update", Scope: "lists", Legacy: true, Run: elementUpdate},
		{Name: "lists.element.delete", Scope: "lists", Legacy: true, Run: elementDelete},
	}
}
