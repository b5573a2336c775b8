package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// List is a universal list, as a person sets one up in the portal.
type List struct {
	// ID is the IBLOCK_ID. 0 takes the next free one.
	ID int
	// TypeID is the IBLOCK_TYPE_ID. Empty is "lists".
	TypeID string
	// Code is the symbolic code, and may be empty.
	Code string
	// Name is what the list is called.
	Name string
	// Fields are its properties, and the system fields that it shows.
	Fields []ListField
}

// ListField is a field of a list.
type ListField struct {
	// ID is the number of the property: 101 is PROPERTY_101. 0 takes the next
	// free one.
	ID int
	// Type is S, N, L, F, G, E, S:Date, S:DateTime, S:HTML, S:Money, S:ECrm,
	// S:employee, S:DiskFile, E:EList, N:Sequence, or a system field such as
	// DATE_CREATE. Empty is S.
	Type string
	// Code is the symbolic code, without PROPERTY_.
	Code string
	// Name is the label. Empty is the code.
	Name string
	// Required fields must be filled on each add and update.
	Required bool
	// Multiple properties hold several values.
	Multiple bool
	// Default is shown in forms; the REST API does not fill it in.
	Default string
	// Options are the choices of type L; the portal gives them ids.
	Options []string
}

// iblock is a list with its elements.
type iblock struct {
	id       int64
	typeID   string
	code     string
	name     string
	fields   []*listField
	elements map[int64]*element
	order    []int64
	sections []*section
	changed  time.Time

	description string
	sort        int64
	bizproc     bool
	messages    map[string]string // ELEMENT_NAME and so on
}

// listField is a field of a list: a property, or a system field.
type listField struct {
	name     string // NAME, PROPERTY_101
	id       int64  // of the property
	typ      string
	code     string
	title    string
	required bool
	multiple bool
	def      string
	sort     int64
	options  []option
	settings *php.Array

	rows, columns int64 // of its input
	link          int64 // the IBLOCK_ID of the list that it links to, or 0
	typeSettings  *php.Array
}

func (f *listField) property() bool { return f.id != 0 }

func (b *iblock) field(name string) *listField {
	i := slices.IndexFunc(b.fields, func(f *listField) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return b.fields[i]
}

// byCode finds a property by its symbolic code.
func (b *iblock) byCode(code string) *listField {
	i := slices.IndexFunc(b.fields, func(f *listField) bool { return f.code != "" && f.code == code })
	if i < 0 {
		return nil
	}
	return b.fields[i]
}

func (s *store) addList(l List) *iblock {
	if l.ID == 0 {
		l.ID = int(s.next("list"))
	}
	s.raise("list", int64(l.ID))
	if l.TypeID == "" {
		l.TypeID = "lists"
	}
	b := &iblock{
		id: int64(l.ID), typeID: l.TypeID, code: l.Code, name: l.Name, elements: map[int64]*element{},
		changed: s.zone.Second(time.Now()), sort: 500, messages: map[string]string{},
		fields: []*listField{{name: "NAME", typ: "NAME", title: "Name", required: true, sort: 10}},
	}
	for _, f := range l.Fields {
		s.addListField(b, f)
	}
	s.lists[b.id] = b
	return b
}

func (s *store) addListField(b *iblock, def ListField) *listField {
	if def.Type == "" {
		def.Type = "S"
	}
	f := &listField{
		typ: def.Type, code: def.Code, title: def.Name, required: def.Required, multiple: def.Multiple,
		def: def.Default, sort: int64(len(b.fields)+1) * 10, settings: defaultListSettings(),
		rows: 1, columns: 30, typeSettings: typeSettings(def.Type),
	}
	if f.title == "" {
		f.title = f.code
	}
	if isSystemListField(def.Type) {
		f.name, f.code, f.multiple = def.Type, "", false
	} else {
		f.id = int64(def.ID)
		if f.id == 0 {
			f.id = s.next("property")
		}
		s.raise("property", f.id)
		f.name = fmt.Sprintf("PROPERTY_%d", f.id)
	}
	for i, text := range def.Options {
		f.options = append(f.options, option{id: s.next("listOption"), value: text, sort: int64(i+1) * 10})
	}
	b.fields = append(b.fields, f)
	return f
}

// missingParam is the error of the lists methods for a parameter that is not
// there.
func missingParam(name string) error {
	return fail("ERROR_REQUIRED_PARAMETERS_MISSING", fmt.Sprintf("Required parameter `%s` is missing", name))
}

// listOf finds the list that a call names by IBLOCK_ID or IBLOCK_CODE.
func listOf(c *call) (*iblock, error) {
	typeID := c.param("IBLOCK_TYPE_ID")
	if typeID == nil {
		return nil, missingParam("IBLOCK_TYPE_ID")
	}
	id, code := c.param("IBLOCK_ID"), c.param("IBLOCK_CODE")
	if id == nil && code == nil {
		return nil, missingParam("IBLOCK_ID")
	}
	for _, b := range c.store().lists {
		found := !value.IsEmpty(id) && b.id == value.Int(id) || value.IsEmpty(id) && !value.IsEmpty(code) && b.code == value.Text(code)
		if found && b.typeID == value.Text(typeID) {
			return b, nil
		}
	}
	return nil, fail("ERROR_IBLOCK_NOT_FOUND", "Iblock not found")
}

// listsGet is lists.get.
func listsGet(c *call) (any, error) {
	typeID := c.param("IBLOCK_TYPE_ID")
	if typeID == nil {
		return nil, missingParam("IBLOCK_TYPE_ID")
	}
	id, code := c.param("IBLOCK_ID"), c.param("IBLOCK_CODE")
	var found []*iblock
	for _, b := range c.store().lists {
		if b.typeID == value.Text(typeID) && (value.IsEmpty(id) || b.id == value.Int(id)) && (value.IsEmpty(code) || b.code == value.Text(code)) {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b *iblock) int { return cmp.Compare(a.id, b.id) })
	order, _ := c.optionalArray("IBLOCK_ORDER")
	query.Sort(found, query.LenientOrder(order, listColumn))
	answer := php.NewArray()
	if len(found) == 0 {
		return answer, nil // and no total
	}
	for _, b := range page(c, found) {
		answer.Append(listJSON(c, b))
	}
	return answer, nil
}

func listColumn(name string) (query.Column[*iblock], bool) {
	switch strings.ToUpper(name) {
	case "ID":
		return query.NewColumn(name, query.Int, func(b *iblock) any { return b.id }), true
	case "NAME":
		return query.NewColumn(name, query.Text, func(b *iblock) any { return b.name }), true
	case "CODE":
		return query.NewColumn(name, query.Text, func(b *iblock) any { return b.code }), true
	case "SORT":
		return query.NewColumn(name, query.Int, func(b *iblock) any { return b.sort }), true
	case "TIMESTAMP_X":
		return query.NewColumn(name, query.Time, func(b *iblock) any { return b.changed }), true
	}
	return query.Column[*iblock]{}, false
}

func listJSON(c *call, b *iblock) *php.Array {
	return value.Object(
		"ID", value.Text(value.FromInt(b.id)), "TIMESTAMP_X", c.store().zone.Local(b.changed), "IBLOCK_TYPE_ID", b.typeID,
		"LID", "s1", "CODE", value.TextOrNull(b.code), "API_CODE", nil, "NAME", b.name, "ACTIVE", "Y", "SORT", value.Text(value.FromInt(b.sort)),
		"LIST_PAGE_URL", nil, "DETAIL_PAGE_URL", nil, "SECTION_PAGE_URL", nil, "CANONICAL_PAGE_URL", nil,
		"PICTURE", nil, "DESCRIPTION", b.description, "DESCRIPTION_TYPE", "text", "RSS_TTL", "24", "RSS_ACTIVE", "Y",
		"RSS_FILE_ACTIVE", "N", "RSS_FILE_LIMIT", nil, "RSS_FILE_DAYS", nil, "RSS_YANDEX_ACTIVE", "N",
		"XML_ID", nil, "TMP_ID", nil, "INDEX_ELEMENT", "Y", "INDEX_SECTION", "N", "WORKFLOW", "N", "BIZPROC", value.YesNo(b.bizproc),
		"SECTION_CHOOSER", "L", "LIST_MODE", nil, "RIGHTS_MODE", "S", "SECTION_PROPERTY", nil, "PROPERTY_INDEX", nil,
		"VERSION", "1", "LAST_CONV_ELEMENT", "0", "SOCNET_GROUP_ID", nil, "EDIT_FILE_BEFORE", nil,
		"EDIT_FILE_AFTER", nil, "SECTIONS_NAME", listMessage(b, "SECTIONS_NAME", "Sections"),
		"SECTION_NAME", listMessage(b, "SECTION_NAME", "Section"), "ELEMENTS_NAME", listMessage(b, "ELEMENTS_NAME", "Elements"),
		"ELEMENT_NAME", listMessage(b, "ELEMENT_NAME", "Element"), "REST_ON", "N", "FULLTEXT_INDEX", "N", "EXTERNAL_ID", nil, "LANG_DIR", "/",
		"SERVER_NAME", nil,
	)
}

// listsTypeID is lists.get.iblock.type.id: null where there is no such list.
func listsTypeID(c *call) (any, error) {
	for _, b := range c.store().lists {
		id, code := c.param("IBLOCK_ID"), c.param("IBLOCK_CODE")
		if !value.IsEmpty(id) && b.id == value.Int(id) || value.IsEmpty(id) && !value.IsEmpty(code) && b.code == value.Text(code) {
			return b.typeID, nil
		}
	}
	return nil, nil
}
