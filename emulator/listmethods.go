package emulator

import (
	"cmp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// listMessage is what a list calls something, such as its elements.
func listMessage(b *model.IBlock, name, byDefault string) string {
	return cmp.Or(b.Messages[name], byDefault)
}

// writeList takes FIELDS and MESSAGES of lists.add and lists.update.
func writeList(b *model.IBlock, c *call, g value.Fields) {
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
	for name, v := range value.UpperFields(c.param("MESSAGES")) {
		b.Messages[name] = value.Text(v)
	}
	b.Changed = c.savedAt()
}

// listsAdd is lists.add. Its result is the id, a number.
func listsAdd(c *call) (any, error) {
	for _, name := range []string{"IBLOCK_TYPE_ID", "IBLOCK_CODE", "FIELDS"} {
		if value.IsEmpty(c.param(name)) {
			return nil, missingParam(name)
		}
	}
	g := value.UpperFields(c.param("FIELDS"))
	if value.IsEmpty(g["NAME"]) {
		return nil, missingParam("NAME")
	}
	s := c.store
	code := value.Text(c.param("IBLOCK_CODE"))
	for _, b := range s.Lists {
		if strings.EqualFold(b.Code, code) {
			return nil, fail("ERROR_IBLOCK_ALREADY_EXISTS", "Iblock already exists")
		}
	}
	b := s.AddList(model.List{TypeID: value.Text(c.param("IBLOCK_TYPE_ID")), Code: code, Name: value.Text(g["NAME"])})
	writeList(b, c, g)
	return value.FromInt(b.ID), nil
}

// listsUpdate is lists.update.
func listsUpdate(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if _, ok := value.Array(c.param("FIELDS")); !ok {
		return nil, missingParam("FIELDS")
	}
	writeList(b, c, value.UpperFields(c.param("FIELDS")))
	return true, nil
}

// listsDelete is lists.delete: the elements go too, and there is no event.
func listsDelete(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Clone(b.Order) {
		recordElement(c, b, b.Elements[id], opDelete)
	}
	delete(c.store.Lists, b.ID)
	return true, nil
}

func listMethods() []method {
	return []method{
		{name: "lists.get", scope: "lists", legacy: true, run: listsGet},
		{name: "lists.add", scope: "lists", legacy: true, run: adminOnly(listsAdd)},
		{name: "lists.update", scope: "lists", legacy: true, run: adminOnly(listsUpdate)},
		{name: "lists.delete", scope: "lists", legacy: true, run: adminOnly(listsDelete)},
		{name: "lists.get.iblock.type.id", scope: "lists", legacy: true, run: listsTypeID},
		{name: "lists.field.get", scope: "lists", legacy: true, run: listFieldGet},
		{name: "lists.field.add", scope: "lists", legacy: true, run: adminOnly(listFieldAdd)},
		{name: "lists.field.update", scope: "lists", legacy: true, run: adminOnly(listFieldUpdate)},
		{name: "lists.field.delete", scope: "lists", legacy: true, run: adminOnly(listFieldDelete)},
		{name: "lists.field.type.get", scope: "lists", legacy: true, run: listFieldTypes},
		{name: "lists.section.get", scope: "lists", legacy: true, run: sectionGet},
		{name: "lists.section.add", scope: "lists", legacy: true, run: sectionAdd},
		{name: "lists.section.update", scope: "lists", legacy: true, run: sectionUpdate},
		{name: "lists.section.delete", scope: "lists", legacy: true, run: sectionDelete},
		{name: "lists.element.get", scope: "lists", legacy: true, run: elementGet},
		{name: "lists.element.add", scope: "lists", legacy: true, run: elementAdd},
		{name: "lists.element.update", scope: "lists", legacy: true, run: elementUpdate},
		{name: "lists.element.delete", scope: "lists", legacy: true, run: elementDelete},
	}
}
