package model

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
	// Options are the choices of type L. The portal gives them ids, unless OptionIDs has
	// them.
	Options   []string
	OptionIDs []int64
}

// IBlock is a list with its elements.
type IBlock struct {
	ID       int64
	TypeID   string
	Code     string
	Name     string
	Fields   []*IBlockField
	Elements Elements
	Sections []*Section
	Changed  time.Time

	Description string
	Sort        int64
	Bizproc     bool
	Messages    map[string]string // ELEMENT_NAME and so on
}

// IBlockField is a field of a list: a property, or a system field.
type IBlockField struct {
	Name     string // NAME, PROPERTY_101
	ID       int64  // of the property
	Type     string
	Code     string
	Title    string
	Required bool
	Multiple bool
	Default  string
	Sort     int64
	Options  []Option
	Settings *php.Array

	Rows, Columns int64 // of its input
	Link          int64 // the IBLOCK_ID of the list that it links to, or 0
	TypeSettings  *php.Array
}

func (f *IBlockField) IsProperty() bool { return f.ID != 0 }

func (b *IBlock) Field(name string) *IBlockField {
	i := slices.IndexFunc(b.Fields, func(f *IBlockField) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return b.Fields[i]
}

// FieldByCode finds a property by its symbolic code.
func (b *IBlock) FieldByCode(code string) *IBlockField {
	i := slices.IndexFunc(b.Fields, func(f *IBlockField) bool { return f.Code != "" && f.Code == code })
	if i < 0 {
		return nil
	}
	return b.Fields[i]
}

func (s *Store) AddList(l List) *IBlock {
	if l.ID == 0 {
		l.ID = int(s.Next("list"))
	}
	s.Reserve("list", int64(l.ID))
	if l.TypeID == "" {
		l.TypeID = "lists"
	}
	b := &IBlock{
		ID: int64(l.ID), TypeID: l.TypeID, Code: l.Code, Name: l.Name, Elements: newElements(),
		Changed: s.Zone.Second(time.Now()), Sort: 500, Messages: map[string]string{},
		Fields: []*IBlockField{{Name: "NAME", Type: "NAME", Title: "Name", Required: true, Sort: 10}},
	}
	for _, f := range l.Fields {
		s.AddListField(b, f)
	}
	s.Lists[b.ID] = b
	return b
}

func (s *Store) AddListField(b *IBlock, def ListField) *IBlockField {
	if def.Type == "" {
		def.Type = "S"
	}
	f := &IBlockField{
		Type: def.Type, Code: def.Code, Title: def.Name, Required: def.Required, Multiple: def.Multiple,
		Default: def.Default, Sort: int64(len(b.Fields)+1) * 10, Settings: defaultListSettings(),
		Rows: 1, Columns: 30, TypeSettings: typeSettings(def.Type),
	}
	if f.Title == "" {
		f.Title = f.Code
	}
	if IsSystemListField(def.Type) {
		f.Name, f.Code, f.Multiple = def.Type, "", false
	} else {
		f.ID = int64(def.ID)
		if f.ID == 0 {
			f.ID = s.Next("property")
		}
		s.Reserve("property", f.ID)
		f.Name = fmt.Sprintf("PROPERTY_%d", f.ID)
	}
	for i, text := range def.Options {
		o := Option{ID: s.Next("listOption"), Value: text, Sort: int64(i+1) * 10}
		if i < len(def.OptionIDs) {
			o.ID = def.OptionIDs[i]
			s.Reserve("listOption", o.ID)
		}
		f.Options = append(f.Options, o)
	}
	b.Fields = append(b.Fields, f)
	return f
}

// IsSystemListField names the system fields, which a list has by their own names.
func IsSystemListField(typ string) bool {
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

// TypeSettings are the USER_TYPE_SETTINGS that properties of a type begin with, nil
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
