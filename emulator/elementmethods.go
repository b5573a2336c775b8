package emulator

import (
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// elementOf finds the element that a call names.
func elementOf(c *call) (*iblock, *element, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, nil, err
	}
	id, code := c.param("ELEMENT_ID"), c.param("ELEMENT_CODE")
	if id == nil && code == nil {
		return nil, nil, missingParam("ELEMENT_ID")
	}
	e := b.elements[value.Int(id)]
	if value.IsEmpty(id) && !value.IsEmpty(code) {
		e = b.coded(value.Text(code))
	}
	if e != nil && c.p.cfg.StrictElementCode && !value.IsEmpty(id) && !value.IsEmpty(code) && !sameCode(e.code, value.Text(code)) {
		e = nil
	}
	if e == nil {
		return nil, nil, fail("ERROR_ELEMENT_NOT_FOUND", "Element not found")
	}
	return b, e, nil
}

// elementAdd is lists.element.add. Its result is the id, a number.
func elementAdd(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	code := value.Text(c.param("ELEMENT_CODE"))
	if code == "" {
		return nil, missingParam("ELEMENT_CODE")
	}
	if b.coded(code) != nil {
		return nil, fail("ERROR_ELEMENT_ALREADY_EXISTS", "Element already exists")
	}
	fields, err := elementInput(c, b, nil)
	if err != nil {
		return nil, err
	}
	s := c.store()
	now := c.savedAt()
	e := &element{id: s.next("element"), created: now, creator: c.req.by.user, section: value.Int(c.param("IBLOCK_SECTION_ID"))}
	writeElement(c, b, e, code, fields)
	b.elements[e.id] = e
	b.order = append(b.order, e.id)
	recordElement(c, b, e, opAdd)
	return value.FromInt(e.id), nil
}

// elementUpdate is lists.element.update. It overwrites the whole element: what
// is not given is cleared, the code too.
func elementUpdate(c *call) (any, error) {
	b, e, err := elementOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := elementInput(c, b, e.properties)
	if err != nil {
		return nil, err
	}
	// Only add looks for another element with this code.
	writeElement(c, b, e, value.Text(c.param("ELEMENT_CODE")), fields)
	recordElement(c, b, e, opUpdate)
	return true, nil
}

// elementDelete is lists.element.delete.
func elementDelete(c *call) (any, error) {
	b, e, err := elementOf(c)
	if err != nil {
		return nil, err
	}
	delete(b.elements, e.id)
	if i, found := slices.BinarySearch(b.order, e.id); found {
		b.order = slices.Delete(b.order, i, i+1)
	}
	recordElement(c, b, e, opDelete)
	return true, nil
}

// elementInput reads and checks FIELDS. A property may be named by PROPERTY_
// and its id only; unknown names are ignored. old are the values that the element
// has: files stay where none are given.
func elementInput(c *call, b *iblock, old map[int64][]propertyValue) (value.Fields, error) {
	g := value.UpperFields(c.param("FIELDS"))
	if g["NAME"] == nil {
		return nil, missingParam("NAME")
	}
	var failed error
	for _, f := range b.fields {
		v := g[f.name]
		stays := f.typ == "F" && len(old[f.id]) > 0
		if f.required && value.IsEmpty(v) && !value.IsNumeric(v) && !stays {
			failed = fail("ERROR_ELEMENT_FIELD_VALUE", fmt.Sprintf("The field %q is required", f.title))
		}
		if _, byID := newFiles(v); f.typ == "F" && byID {
			failed = fail("ERROR_ELEMENT_FIELD_VALUE", "Writing file values by ID is not supported")
		}
		if f.typ != "N" {
			continue
		}
		for _, x := range propertyInput(v) {
			if text := plainNumber(x.value); text != "" && !value.IsNumeric(text) {
				failed = fail("ERROR_ELEMENT_FIELD_VALUE", fmt.Sprintf("Value of the %q field is not correct", f.title))
			}
		}
	}
	return g, failed // the last error, as the portal reports
}

// writeElement gives an element its fields; what is not given is cleared.
func writeElement(c *call, b *iblock, e *element, code string, g value.Fields) {
	s := c.store()
	e.code = code
	e.changed, e.modifier = c.savedAt(), c.req.by.user
	if v, ok := g["IBLOCK_SECTION_ID"]; ok {
		e.section = value.Int(v)
	}
	old := e.properties
	e.system, e.properties = map[string]string{}, map[int64][]propertyValue{}
	for _, f := range b.fields {
		if f.typ == "F" {
			if files := readFiles(s, f, g, old[f.id]); len(files) > 0 {
				e.properties[f.id] = files
			}
			continue
		}
		v, ok := g[f.name]
		if !ok {
			continue
		}
		if !f.property() {
			e.system[f.name] = value.Text(value.First(value.List(v)))
			continue
		}
		if values := readProperty(s, f, v, old[f.id]); len(values) > 0 {
			e.properties[f.id] = values
		}
	}
}

// recordElement keeps what happened to an element for History.
func recordElement(c *call, b *iblock, e *element, op string) {
	c.p.journal.change(Change{
		At: c.now, Op: op, IBlockID: int(b.id), ID: e.id, Code: e.code, Title: e.system["NAME"],
	}, func() *php.Array { return elementJSON(c, b, e, nil) })
}
