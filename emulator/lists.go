package emulator

import (
	"fmt"
	"slices"
	"time"

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

// isSystemListField names the system fields, which a list has by their own names.
func isSystemListField(typ string) bool {
	switch typ {
	case "SORT", "ACTIVE_FROM", "ACTIVE_TO", "PREVIEW_PICTURE", "PREVIEW_TEXT", "DETAIL_PICTURE", "DETAIL_TEXT",
		"DATE_CREATE", "CREATED_BY", "TIMESTAMP_X", "MODIFIED_BY", "NAME":
		return true
	}
	return false
}

func defaultListSettings() *php.Array {
	return value.Object("SHOW_ADD_FORM", "Y", "SHOW_EDIT_FORM", "Y", "ADD_READ_ONLY_FIELD", "N",
		"EDIT_READ_ONLY_FIELD", "N", "SHOW_FIELD_PREVIEW", "N")
}

// typeSettings are the USER_TYPE_SETTINGS that properties of a type begin with, nil
// for types without any.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-add.html
func typeSettings(typ string) *php.Array {
	switch typ {
	case "S:HTML":
		return value.Object("height", 200)
	case "E:EList":
		return value.Object("size", 1, "width", 0, "group", "N", "multiple", "N")
	case "N:Sequence":
		return value.Object("write", "N", "VALUE", 1)
	case "S:ECrm":
		return value.Object("VISIBLE", "N", "LEAD", "N", "CONTACT", "N", "COMPANY", "N", "DEAL", "N")
	}
	return nil
}
