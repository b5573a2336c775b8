package emulator

import "slices"

// A multifield is one phone, e-mail, site or messenger of a lead, a contact or a
// company. crm.item.* calls the list of them fm; the legacy methods have a field
// for each type.
//
// https://apidocs.bitrix24.com/api-reference/crm/data-types.html
type multifield struct {
	id        int64
	typ       string // PHONE, EMAIL, WEB, IM, LINK
	valueType string // WORK, HOME …
	value     string
}

const (
	multifieldsName = "FM"
	typeMultifield  = "crm_multifield"
)

var multifieldTypes = [...]string{"PHONE", "EMAIL", "WEB", "IM", "LINK"}

func isMultifieldType(name string) bool { return slices.Contains(multifieldTypes[:], name) }

// firstValue is a field of crm.item.* that shows the first value of a kind.
type firstValue struct{ name, typ, valueType string }

// firstValues are the flat names of crm.item.*; without a value type they show
// the first value at all.
func firstValues() []firstValue {
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

// multifieldsOf returns an item's multifields of a type, of all types with "".
func multifieldsOf(values map[string]any, typ string) []multifield {
	several, _ := values[multifieldsName].([]any)
	var found []multifield
	for _, v := range several {
		if m, ok := v.(multifield); ok && (typ == "" || m.typ == typ) {
			found = append(found, m)
		}
	}
	return found
}
