package ruletest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/schemas"
)

// schema is what the portal says of its types and lists.
type schema struct {
	types map[int]*itemType
	lists map[int]*listType
}

// itemType are the fields of a type of items.
type itemType struct {
	fields map[string]*fieldInfo // by the name that crm.item.* uses
	names  []string              // of those that can be written
	short  string                // the owner type of product rows
	rows   bool
}

// listType are the fields of a list.
type listType struct {
	id, code, name string
	columns        []*fieldInfo
}

// portalField is a field or a property.
type fieldInfo struct {
	name             string // title, ufCrm5Total; NAME, PROPERTY_101
	code, title      string // of a property
	dataType         string
	readOnly, custom bool
	multiple         bool
	options          map[string]string // texts by their ids
}

// label is how tests call it: a property by its code.
func (c *fieldInfo) label() string {
	if c.code != "" {
		return c.code
	}
	return c.name
}

// optionID returns the id of an option's text.
func (c *fieldInfo) optionID(text string) (string, bool) {
	for id, t := range c.options {
		if t == text || id == text {
			return id, true
		}
	}
	return "", false
}

// find returns the field of a type by the name in a test, which may be the
// stored one.
func (t *itemType) find(name string) *fieldInfo {
	if c := t.fields[name]; c != nil {
		return c
	}
	for _, c := range t.fields {
		if c.title == name { // the stored name
			return c
		}
	}
	return nil
}

// find returns the property with a name: its code, its title, PROPERTY_101.
func (l *listType) find(name string) *fieldInfo {
	bare := strings.TrimPrefix(name, "PROPERTY_")
	for _, is := range []func(*fieldInfo) bool{
		func(c *fieldInfo) bool { return c.name == name },
		func(c *fieldInfo) bool { return c.code != "" && (c.code == name || c.code == bare) },
		func(c *fieldInfo) bool { return c.title != "" && c.title == name },
		func(c *fieldInfo) bool { return strings.EqualFold(c.code, name) && c.code != "" },
	} {
		if i := slices.IndexFunc(l.columns, is); i >= 0 {
			return l.columns[i]
		}
	}
	return nil
}

func (l *listType) labels() []string {
	out := make([]string, len(l.columns))
	for i, c := range l.columns {
		out[i] = c.label()
	}
	return out
}

// list finds a list by its IBLOCK_ID, its code or its name.
func (s *schema) list(ref string) (int, *listType, bool) {
	for _, id := range slices.Sorted(maps.Keys(s.lists)) {
		l := s.lists[id]
		if l.id == ref || l.code != "" && l.code == ref || l.name == ref {
			return id, l, true
		}
	}
	return 0, nil, false
}

// readSchema asks the portal.
func (w *portal) readSchema(spec *setup) (*schema, error) {
	s := &schema{types: map[int]*itemType{}, lists: map[int]*listType{}}
	var types []int
	for _, o := range schemas.Owners() {
		types = append(types, o.ID)
	}
	result, err := w.call("crm.type.list", map[string]any{})
	if err != nil {
		return nil, err
	}
	for _, t := range array(object(result)["types"]) {
		id, _ := strconv.Atoi(text(object(t)["entityTypeId"]))
		types = append(types, id)
	}
	for _, id := range types {
		if s.types[id], err = w.readType(id); err != nil {
			return nil, err
		}
	}
	lists, err := w.callAll("lists.get", map[string]any{"IBLOCK_TYPE_ID": "lists"}, "")
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		id, _ := strconv.Atoi(text(l["ID"]))
		if s.lists[id], err = w.readList(l); err != nil {
			return nil, err
		}
	}
	for typ, t := range s.types {
		t.rows = typ < schemas.FirstDynamicType && schemas.OwnerByType(typ).Rows
		for _, made := range spec.types {
			t.rows = t.rows || made.EntityTypeID == typ && made.Products
		}
	}
	return s, nil
}

func (w *portal) readType(id int) (*itemType, error) {
	result, err := w.call("crm.item.fields", map[string]any{"entityTypeId": id})
	if err != nil {
		return nil, err
	}
	t := &itemType{fields: map[string]*fieldInfo{}, short: schemas.OwnerByType(id).Short}
	for name, v := range object(object(result)["fields"]) {
		d := object(v)
		c := &fieldInfo{
			name: name, title: text(d["upperName"]), dataType: text(d["type"]), readOnly: d["isReadOnly"] == true,
			custom: d["isDynamic"] == true, multiple: d["isMultiple"] == true, options: map[string]string{},
		}
		for _, o := range array(d["items"]) {
			c.options[text(object(o)["ID"])] = text(object(o)["VALUE"])
		}
		t.fields[name] = c
		if !c.readOnly {
			t.names = append(t.names, name)
		}
	}
	slices.Sort(t.names)
	return t, nil
}

func (w *portal) readList(l map[string]any) (*listType, error) {
	out := &listType{id: text(l["ID"]), code: text(l["CODE"]), name: text(l["NAME"])}
	result, err := w.call("lists.field.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": out.id})
	if err != nil {
		return nil, err
	}
	for name, v := range object(result) {
		d := object(v)
		c := &fieldInfo{
			name: name, code: text(d["CODE"]), dataType: text(d["TYPE"]), multiple: text(d["MULTIPLE"]) == "Y",
			readOnly: !strings.HasPrefix(name, "PROPERTY_") && name != "NAME", options: map[string]string{},
		}
		if strings.HasPrefix(name, "PROPERTY_") {
			c.title = text(d["NAME"])
		}
		for id, o := range object(d["DISPLAY_VALUES_FORM"]) {
			c.options[id] = text(o)
		}
		out.columns = append(out.columns, c)
	}
	slices.SortFunc(out.columns, func(a, b *fieldInfo) int {
		if len(a.name) != len(b.name) {
			return len(a.name) - len(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
	return out, nil
}
