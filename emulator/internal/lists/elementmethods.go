package lists

import (
	"fmt"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// elementOf finds the element that a call names.
func elementOf(c *rest.Call) (*model.IBlock, *model.Element, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, nil, err
	}
	id, code := c.Param("ELEMENT_ID"), c.Param("ELEMENT_CODE")
	if id == nil && code == nil {
		return nil, nil, rest.MissingParam("ELEMENT_ID")
	}
	e := b.Elements.Get(value.Int(id))
	if value.IsEmpty(id) && !value.IsEmpty(code) {
		e = b.ElementByCode(value.Text(code))
	}
	if e != nil && c.Options.StrictElementCode && !value.IsEmpty(id) && !value.IsEmpty(code) && !model.SameCode(e.Code, value.Text(code)) {
		e = nil
	}
	if e == nil {
		return nil, nil, rest.Fail("ERROR_ELEMENT_NOT_FOUND", "Element not found")
	}
	return b, e, nil
}

// elementAdd is lists.element.add. Its result is the id, a number.
func elementAdd(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	code := value.Text(c.Param("ELEMENT_CODE"))
	if code == "" {
		return nil, rest.MissingParam("ELEMENT_CODE")
	}
	if old := b.ElementByCode(code); old != nil && !c.Options.DoubleCodes && c.Now.Sub(old.Added) >= c.Options.CodeRace {
		return nil, rest.Fail("ERROR_ELEMENT_ALREADY_EXISTS", "Element already exists")
	}
	fields, err := elementInput(c, b, nil)
	if err != nil {
		return nil, err
	}
	s := c.Store
	now := c.SavedAt()
	e := &model.Element{ID: s.Next("element"), Added: c.Now, Created: now, Creator: c.Request.By.User, Section: value.Int(c.Param("IBLOCK_SECTION_ID"))}
	writeElement(c, b, e, code, fields)
	b.Elements.Insert(e)
	recordElement(c, b, e, rest.OpAdd)
	return value.FromInt(e.ID), nil
}

// elementUpdate is lists.element.update. It overwrites the whole element: what
// is not given is cleared, the code too.
func elementUpdate(c *rest.Call) (any, error) {
	b, e, err := elementOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := elementInput(c, b, e.Properties)
	if err != nil {
		return nil, err
	}
	// Only add looks for another element with this code.
	b.Elements.Change(e, func() { writeElement(c, b, e, value.Text(c.Param("ELEMENT_CODE")), fields) })
	recordElement(c, b, e, rest.OpUpdate)
	return true, nil
}

// elementDelete is lists.element.delete.
func elementDelete(c *rest.Call) (any, error) {
	b, e, err := elementOf(c)
	if err != nil {
		return nil, err
	}
	b.Elements.Remove(e)
	recordElement(c, b, e, rest.OpDelete)
	return true, nil
}

// elementInput reads and checks FIELDS. A property may be named by PROPERTY_
// and its id only; unknown names are ignored. old are the values that the element
// has: files stay where none are given.
func elementInput(c *rest.Call, b *model.IBlock, old map[int64][]model.PropertyValue) (value.Fields, error) {
	g := value.UpperFields(c.Param("FIELDS"))
	if g["NAME"] == nil {
		return nil, rest.MissingParam("NAME")
	}
	var failed error
	for _, f := range b.Fields {
		v := g[f.Name]
		stays := f.Type == "F" && len(old[f.ID]) > 0
		if f.Required && value.IsEmpty(v) && !value.IsNumeric(v) && !stays {
			failed = rest.Fail("ERROR_ELEMENT_FIELD_VALUE", fmt.Sprintf("The field %q is required", f.Title))
		}
		if _, byID := newFiles(v); f.Type == "F" && byID {
			failed = rest.Fail("ERROR_ELEMENT_FIELD_VALUE", "Writing file values by ID is not supported")
		}
		if f.Type != "N" {
			continue
		}
		for _, x := range propertyInput(v) {
			if text := plainNumber(x.value); text != "" && !value.IsNumeric(text) {
				failed = rest.Fail("ERROR_ELEMENT_FIELD_VALUE", fmt.Sprintf("Value of the %q field is not correct", f.Title))
			}
		}
	}
	return g, failed // the last error, as the portal reports
}

// writeElement gives an element its fields; what is not given is cleared.
func writeElement(c *rest.Call, b *model.IBlock, e *model.Element, code string, g value.Fields) {
	s := c.Store
	e.Code = code
	e.Changed, e.Modifier = c.SavedAt(), c.Request.By.User
	if v, ok := g["IBLOCK_SECTION_ID"]; ok {
		e.Section = value.Int(v)
	}
	oldSystem, old := e.System, e.Properties
	e.System, e.Properties = map[string]string{}, map[int64][]model.PropertyValue{}
	for _, f := range b.Fields {
		_, given := g[f.Name]
		if c.Forgets(f.Name, f.Code) || c.Options.KeepOmitted && !given {
			if text, ok := oldSystem[f.Name]; ok {
				e.System[f.Name] = text
			}
			if values, ok := old[f.ID]; ok && f.IsProperty() {
				e.Properties[f.ID] = values
			}
			continue
		}
		if f.Type == "F" {
			if files := readFiles(s, f, g, old[f.ID]); len(files) > 0 {
				e.Properties[f.ID] = files
			}
			continue
		}
		v, ok := g[f.Name]
		if !ok {
			continue
		}
		if !f.IsProperty() {
			e.System[f.Name] = value.Text(value.First(value.List(v)))
			continue
		}
		if values := readProperty(s, f, v, old[f.ID]); len(values) > 0 {
			e.Properties[f.ID] = values
		}
	}
}

// recordElement keeps what happened to an element for History.
func recordElement(c *rest.Call, b *model.IBlock, e *model.Element, op string) {
	c.Journal.Change(rest.Change{
		At: c.Now, Op: op, IBlockID: int(b.ID), ID: e.ID, Code: e.Code, Title: e.System["NAME"],
	}, func() *php.Array { return elementJSON(c, b, e, nil) })
}
