package model

import (
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Flags of a field.
type Flags uint16

const (
	ReadOnly        Flags = 1 << iota // cannot be written
	Immutable                         // can be written by add only
	Required                          // must not be empty
	Multiple                          // a list of values
	Disabled                          // always null, and not written
	ZeroNull                          // crm.item.* shows null as 0
	UniversalOnly                     // not in the legacy methods
	LegacyOnly                        // only in the legacy methods
	LegacyWriteOnly                   // the legacy methods take it and describe it, and never show it
	Unscaled                          // a number that the legacy methods show without "0" for cents
	LegacyReadOnly                    // the legacy methods do not write it
	Deprecated                        // superseded by a list of links
)

// Field is one field of an item.
type Field struct {
	Name   string // as stored, and UpperName of crm.item.fields
	Camel  string // as crm.item.* names it
	Legacy string // as the legacy methods name it
	Type   string // as crm.item.fields says
	Title  string
	Flags  Flags
	User   *CustomField // nil for system fields
	Status string       // directory of a crm_status
	Parent int          // entityTypeId of what a link points to
}

func (f *Field) Has(set Flags) bool { return f.Flags&set != 0 }

func (f *Field) Kind() query.Kind {
	switch f.Type {
	case "integer", "user", "employee", "enumeration", "crm_category", "crm_company", "crm_contact",
		"crm_lead", "crm_deal", "crm_quote", "crm_entity", "file":
		return query.Int
	case "double":
		return query.Num
	case "boolean":
		return query.Bool
	case "date":
		return query.Date
	case "datetime":
		return query.Time
	}
	return query.Text
}

// FieldSet are the fields of a type of item, in the order of their answers.
type FieldSet struct {
	All      []*Field
	ByName   map[string]*Field // by stored name
	ByCamel  map[string]*Field
	ByLegacy map[string]*Field
}

func NewFieldSet(fields []*Field) *FieldSet {
	s := &FieldSet{ByName: map[string]*Field{}, ByCamel: map[string]*Field{}, ByLegacy: map[string]*Field{}}
	for _, f := range fields {
		s.Add(f)
	}
	return s
}

// Add gives a field its other names. A converted name that another field has
// already is not used: the field keeps its stored one.
func (s *FieldSet) Add(f *Field) {
	if f.Legacy == "" {
		f.Legacy = f.Name
	}
	f.Camel = value.ItemName(f.Name)
	if _, taken := s.ByCamel[f.Camel]; taken {
		f.Camel = f.Name
	}
	s.All = append(s.All, f)
	s.ByName[f.Name] = f
	if !f.Has(LegacyOnly) {
		s.ByCamel[f.Camel] = f
	}
	if !f.Has(UniversalOnly) {
		s.ByLegacy[f.Legacy] = f
	}
}

// remove takes a field away.
func (s *FieldSet) remove(name string) {
	f := s.ByName[name]
	if f == nil {
		return
	}
	s.All = slices.DeleteFunc(s.All, func(x *Field) bool { return x == f })
	delete(s.ByName, f.Name)
	if s.ByCamel[f.Camel] == f {
		delete(s.ByCamel, f.Camel)
	}
	if s.ByLegacy[f.Legacy] == f {
		delete(s.ByLegacy, f.Legacy)
	}
}
