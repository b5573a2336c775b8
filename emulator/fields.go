package emulator

import (
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// flags of a field.
type flags uint16

const (
	readOnly   flags = 1 << iota // cannot be written
	immutable                    // can be written by add only
	required                     // must not be empty
	multiple                     // a list of values
	disabled                     // always null, and not written
	zeroNull                     // crm.item.* shows null as 0
	hidden                       // not in the legacy methods
	itemless                     // only in the legacy methods
	unread                       // the legacy methods take it and describe it, and never show it
	unscaled                     // a number that the legacy methods show without "0" for cents
	settled                      // the legacy methods do not write it
	deprecated                   // superseded by a list of links
)

// field is one field of an item.
type field struct {
	name   string // as stored, and UpperName of crm.item.fields
	camel  string // as crm.item.* names it
	legacy string // as the legacy methods name it
	typ    string // as crm.item.fields says
	title  string
	flags  flags
	user   *customField // nil for system fields
	status string       // directory of a crm_status
	parent int          // entityTypeId of what a link points to
}

func (f *field) has(set flags) bool { return f.flags&set != 0 }

func (f *field) kind() query.Kind {
	switch f.typ {
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

// fieldSet are the fields of a type of item, in the order of their answers.
type fieldSet struct {
	all      []*field
	byName   map[string]*field // by stored name
	byCamel  map[string]*field
	byLegacy map[string]*field
}

func newFieldSet(fields []*field) *fieldSet {
	s := &fieldSet{byName: map[string]*field{}, byCamel: map[string]*field{}, byLegacy: map[string]*field{}}
	for _, f := range fields {
		s.add(f)
	}
	return s
}

// add gives a field its other names. A converted name that another field has
// already is not used: the field keeps its stored one.
func (s *fieldSet) add(f *field) {
	if f.legacy == "" {
		f.legacy = f.name
	}
	f.camel = value.ItemName(f.name)
	if _, taken := s.byCamel[f.camel]; taken {
		f.camel = f.name
	}
	s.all = append(s.all, f)
	s.byName[f.name] = f
	if !f.has(itemless) {
		s.byCamel[f.camel] = f
	}
	if !f.has(hidden) {
		s.byLegacy[f.legacy] = f
	}
}

// remove takes a field away.
func (s *fieldSet) remove(name string) {
	f := s.byName[name]
	if f == nil {
		return
	}
	s.all = slices.DeleteFunc(s.all, func(x *field) bool { return x == f })
	delete(s.byName, f.name)
	if s.byCamel[f.camel] == f {
		delete(s.byCamel, f.camel)
	}
	if s.byLegacy[f.legacy] == f {
		delete(s.byLegacy, f.legacy)
	}
}
