package emulator

import (
	"cmp"
	"slices"
	"strings"
)

// message is what a list calls something, such as its elements.
func (b *iblock) message(name, byDefault string) string {
	return cmp.Or(b.messages[name], byDefault)
}

// write takes FIELDS and MESSAGES of lists.add and lists.update.
func (b *iblock) write(c *call, g given) {
	if v, ok := g["NAME"]; ok && !isEmpty(v) {
		b.name = toText(v)
	}
	if v, ok := g["DESCRIPTION"]; ok {
		b.description = toText(v)
	}
	g.int("SORT", &b.sort)
	if v, ok := g["BIZPROC"]; ok {
		b.bizproc = v == "Y"
	}
	for name, v := range upperGiven(c.param("MESSAGES")) {
		b.messages[name] = toText(v)
	}
	b.changed = c.savedAt()
}

// listsAdd is lists.add. Its result is the id, a number.
func listsAdd(c *call) (any, error) {
	for _, name := range []string{"IBLOCK_TYPE_ID", "IBLOCK_CODE", "FIELDS"} {
		if isEmpty(c.param(name)) {
			return nil, missingParam(name)
		}
	}
	g := upperGiven(c.param("FIELDS"))
	if isEmpty(g["NAME"]) {
		return nil, missingParam("NAME")
	}
	s := c.store()
	code := toText(c.param("IBLOCK_CODE"))
	for _, b := range s.lists {
		if strings.EqualFold(b.code, code) {
			return nil, fail("ERROR_IBLOCK_ALREADY_EXISTS", "Iblock already exists")
		}
	}
	b := s.addList(List{TypeID: toText(c.param("IBLOCK_TYPE_ID")), Code: code, Name: toText(g["NAME"])})
	b.write(c, g)
	return intValue(b.id), nil
}

// listsUpdate is lists.update.
func listsUpdate(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if _, ok := asArray(c.param("FIELDS")); !ok {
		return nil, missingParam("FIELDS")
	}
	b.write(c, upperGiven(c.param("FIELDS")))
	return true, nil
}

// listsDelete is lists.delete: the elements go too, and there is no event.
func listsDelete(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Clone(b.order) {
		c.recordElement(b, b.elements[id], opDelete)
	}
	delete(c.store().lists, b.id)
	return true, nil
}
