package emulator

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// deriveFromMultifields brings what follows from the multifields up to date.
func deriveFromMultifields(t *entityType, v map[string]any) {
	if t.fields.byName[multifieldsName] == nil {
		return
	}
	if v[multifieldsName] == nil {
		v[multifieldsName] = []any{}
	}
	v["HAS_PHONE"] = len(multifieldsOf(v, "PHONE")) > 0
	v["HAS_EMAIL"] = len(multifieldsOf(v, "EMAIL")) > 0
	v["HAS_IMOL"] = false
	for _, a := range firstValues() {
		v[a.name] = ""
		for _, m := range multifieldsOf(v, a.typ) {
			if a.valueType == "" || m.valueType == a.valueType {
				v[a.name] = m.value
				v["HAS_IMOL"] = v["HAS_IMOL"] == true || a.name == "IMOL"
				break
			}
		}
	}
}

// multifieldInput is one entry of a call.
type multifieldInput struct {
	id             int64 // of an old one, or 0
	typ, valueType string
	value          string
	drop           bool
}

// readMultifields reads fm of crm.item.*: a list of new entries, or a map by the
// ids of old ones.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-update.html
func readMultifields(a *php.Array) []multifieldInput {
	var input []multifieldInput
	for key, v := range a.All() {
		entry, ok := value.Array(v)
		if !ok {
			continue
		}
		get := func(names ...string) string {
			x, _ := value.Either(entry, names...)
			return value.Text(x)
		}
		in := multifieldInput{
			typ: get("typeId", "TYPE_ID"), valueType: get("valueType", "VALUE_TYPE"), value: get("value", "VALUE"),
		}
		in.id, _ = strconv.ParseInt(key, 10, 64)
		if id := get("id", "ID"); id != "" {
			in.id, _ = strconv.ParseInt(id, 10, 64)
		}
		input = append(input, in)
	}
	return input
}

// readLegacyMultifields reads PHONE and the like of the legacy methods. An entry
// with the id of an old one changes it, or removes it where it has no value or
// DELETE=Y; any other entry is new, so that sending a list twice doubles it.
// https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-update.html
func readLegacyMultifields(typ string, v any) []multifieldInput {
	var input []multifieldInput
	for _, x := range value.List(v) {
		entry, ok := value.Array(x)
		if !ok {
			continue
		}
		get := func(name string) string {
			x, _ := entry.Get(name)
			return value.Text(x)
		}
		in := multifieldInput{typ: typ, valueType: get("VALUE_TYPE"), value: get("VALUE"), drop: get("DELETE") == "Y"}
		in.id, _ = strconv.ParseInt(get("ID"), 10, 64)
		input = append(input, in)
	}
	return input
}

// mergeMultifields applies the entries of a call to what is there.
func mergeMultifields(s *store, old any, input []multifieldInput) []any {
	before, _ := old.([]any)
	merged := slices.Clone(before)
	for _, in := range input {
		at := slices.IndexFunc(merged, func(v any) bool {
			m, _ := v.(multifield)
			return in.id != 0 && m.id == in.id && (in.typ == "" || m.typ == in.typ)
		})
		switch {
		case at >= 0 && (in.drop || in.value == ""):
			merged = slices.Delete(merged, at, at+1)
		case at >= 0:
			m, _ := merged[at].(multifield)
			m.value, m.valueType = in.value, cmp.Or(in.valueType, m.valueType)
			merged[at] = m
		case in.value != "" && !in.drop && isMultifieldType(in.typ):
			merged = append(merged, multifield{
				id: s.next("multifield"), typ: in.typ, valueType: cmp.Or(in.valueType, "WORK"), value: in.value,
			})
		}
	}
	if merged == nil {
		merged = []any{}
	}
	return merged
}

// multifieldJSON is an entry of fm as crm.item.* shows it.
func multifieldJSON(m multifield) *php.Array {
	return value.Object("id", m.id, "valueType", m.valueType, "value", m.value, "typeId", m.typ)
}

// legacyMultifieldJSON is an entry as the legacy methods show it.
func legacyMultifieldJSON(m multifield) *php.Array {
	return value.Object("ID", value.Text(value.FromInt(m.id)), "VALUE_TYPE", m.valueType, "VALUE", m.value, "TYPE_ID", m.typ)
}
