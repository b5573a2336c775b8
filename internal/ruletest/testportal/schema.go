package testportal

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/schemas"
)

// Schema describes the types and lists of a portal.
type Schema struct {
	Types map[int]*itemType
	Lists map[int]*listType
}

// itemType describes the fields of a type of items.
type itemType struct {
	Fields map[string]*FieldInfo // by the name that crm.item.* uses
	Names  []string              // of writable fields
	short  string                // the owner type of product rows
	rows   bool
}

// listType describes the fields of a list.
type listType struct {
	id, code, name string
	Columns        []*FieldInfo
}

// FieldInfo describes a field of an item or a property of a list.
type FieldInfo struct {
	Name             string // title, ufCrm5Total; NAME, PROPERTY_101
	code, title      string // of a property
	DataType         string
	ReadOnly, Custom bool
	Multiple         bool
	Options          map[string]string // texts of list options by id
}

// Label is the name in tests: for a property its code.
func (c *FieldInfo) Label() string {
	if c.code != "" {
		return c.code
	}
	return c.Name
}

// optionID returns the id of a list option by its text or id.
func (c *FieldInfo) optionID(text string) (string, bool) {
	for id, t := range c.Options {
		if t == text || id == text {
			return id, true
		}
	}
	return "", false
}

// Find returns the field with a name in a test, which can also be the stored name. nil
// means that the field does not exist.
func (t *itemType) Find(name string) *FieldInfo {
	if c := t.Fields[name]; c != nil {
		return c
	}
	for _, c := range t.Fields {
		if c.title == name { // the stored name
			return c
		}
	}
	return nil
}

// Find returns the property by its code, its title or a name like PROPERTY_101. nil means
// that the property does not exist.
func (l *listType) Find(name string) *FieldInfo {
	bare := strings.TrimPrefix(name, "PROPERTY_")
	for _, is := range []func(*FieldInfo) bool{
		func(c *FieldInfo) bool { return c.Name == name },
		func(c *FieldInfo) bool { return c.code != "" && (c.code == name || c.code == bare) },
		func(c *FieldInfo) bool { return c.title != "" && c.title == name },
		func(c *FieldInfo) bool { return strings.EqualFold(c.code, name) && c.code != "" },
	} {
		if i := slices.IndexFunc(l.Columns, is); i >= 0 {
			return l.Columns[i]
		}
	}
	return nil
}

func (l *listType) labels() []string {
	out := make([]string, len(l.Columns))
	for i, c := range l.Columns {
		out[i] = c.Label()
	}
	return out
}

// List finds a list by its IBLOCK_ID, its code or its name.
func (s *Schema) List(ref string) (int, *listType, bool) {
	for _, id := range slices.Sorted(maps.Keys(s.Lists)) {
		l := s.Lists[id]
		if l.id == ref || l.code != "" && l.code == ref || l.name == ref {
			return id, l, true
		}
	}
	return 0, nil, false
}

// readSchema reads the schema over REST.
func (w *Portal) readSchema(spec *Setup) (*Schema, error) {
	s := &Schema{Types: map[int]*itemType{}, Lists: map[int]*listType{}}
	var types []int
	for _, o := range schemas.Owners() {
		types = append(types, o.ID)
	}
	result, err := w.Call("crm.type.list", map[string]any{})
	if err != nil {
		return nil, err
	}
	for _, t := range compare.Array(compare.Object(result)["types"]) {
		id, _ := strconv.Atoi(compare.Text(compare.Object(t)["entityTypeId"]))
		types = append(types, id)
	}
	for _, id := range types {
		if s.Types[id], err = w.readType(id); err != nil {
			return nil, err
		}
	}
	lists, err := w.callAll("lists.get", map[string]any{"IBLOCK_TYPE_ID": "lists"}, "")
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		id, _ := strconv.Atoi(compare.Text(l["ID"]))
		if s.Lists[id], err = w.readList(l); err != nil {
			return nil, err
		}
	}
	for typ, t := range s.Types {
		t.rows = typ < schemas.FirstDynamicType && schemas.OwnerByType(typ).Rows
		for _, made := range spec.types {
			t.rows = t.rows || made.EntityTypeID == typ && made.Products
		}
	}
	return s, nil
}

func (w *Portal) readType(id int) (*itemType, error) {
	result, err := w.Call("crm.item.fields", map[string]any{"entityTypeId": id})
	if err != nil {
		return nil, err
	}
	t := &itemType{Fields: map[string]*FieldInfo{}, short: schemas.OwnerByType(id).Short}
	for name, v := range compare.Object(compare.Object(result)["fields"]) {
		d := compare.Object(v)
		c := &FieldInfo{
			Name: name, title: compare.Text(d["upperName"]), DataType: compare.Text(d["type"]), ReadOnly: d["isReadOnly"] == true,
			Custom: d["isDynamic"] == true, Multiple: d["isMultiple"] == true, Options: map[string]string{},
		}
		for _, o := range compare.Array(d["items"]) {
			c.Options[compare.Text(compare.Object(o)["ID"])] = compare.Text(compare.Object(o)["VALUE"])
		}
		t.Fields[name] = c
		if !c.ReadOnly {
			t.Names = append(t.Names, name)
		}
	}
	slices.Sort(t.Names)
	return t, nil
}

func (w *Portal) readList(l map[string]any) (*listType, error) {
	out := &listType{id: compare.Text(l["ID"]), code: compare.Text(l["CODE"]), name: compare.Text(l["NAME"])}
	result, err := w.Call("lists.field.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": out.id})
	if err != nil {
		return nil, err
	}
	for name, v := range compare.Object(result) {
		d := compare.Object(v)
		c := &FieldInfo{
			Name: name, code: compare.Text(d["CODE"]), DataType: compare.Text(d["TYPE"]), Multiple: compare.Text(d["MULTIPLE"]) == "Y",
			ReadOnly: !strings.HasPrefix(name, "PROPERTY_") && name != "NAME", Options: map[string]string{},
		}
		if strings.HasPrefix(name, "PROPERTY_") {
			c.title = compare.Text(d["NAME"])
		}
		for id, o := range compare.Object(d["DISPLAY_VALUES_FORM"]) {
			c.Options[id] = compare.Text(o)
		}
		out.Columns = append(out.Columns, c)
	}
	slices.SortFunc(out.Columns, func(a, b *FieldInfo) int {
		if len(a.Name) != len(b.Name) {
			return len(a.Name) - len(b.Name)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}
