package model

import "slices"

// A Multifield is one phone, e-mail, site or messenger of a lead, a contact or a
// company. crm.item.* calls the list of them fm; the legacy methods have a field
// for each type.
//
// https://apidocs.bitrix24.com/api-reference/crm/data-types.html
type Multifield struct {
	ID        int64
	Type      string // PHONE, EMAIL, WEB, IM, LINK
	ValueType string // WORK, HOME …
	Value     string
}

const (
	MultifieldsName = "FM"
	TypeMultifield  = "crm_multifield"
)

var MultifieldTypes = [...]string{"PHONE", "EMAIL", "WEB", "IM", "LINK"}

func IsMultifieldType(name string) bool { return slices.Contains(MultifieldTypes[:], name) }

// firstValue is a field of crm.item.* that shows the first value of a kind.
type firstValue struct{ Name, Type, ValueType string }

// FirstValues are the flat names of crm.item.*; without a value type they show
// the first value at all.
func FirstValues() []firstValue {
	return []firstValue{
		{"PHONE_MOBILE", "PHONE", "MOBILE"},
		{"PHONE_WORK", "PHONE", "WORK"},
		{"PHONE_MAILING", "PHONE", "MAILING"},
		{"EMAIL_HOME", "EMAIL", "HOME"},
		{"EMAIL_WORK", "EMAIL", "WORK"},
		{"EMAIL_MAILING", "EMAIL", "MAILING"},
		{"IMOL", "IM", "OPENLINE"},
		{"EMAIL", "EMAIL", ""},
		{"PHONE", "PHONE", ""},
	}
}

// MultifieldsOf returns an item's multifields of a type, of all types with "".
func MultifieldsOf(values map[string]any, typ string) []Multifield {
	several, _ := values[MultifieldsName].([]any)
	var found []Multifield
	for _, v := range several {
		if m, ok := v.(Multifield); ok && (typ == "" || m.Type == typ) {
			found = append(found, m)
		}
	}
	return found
}
