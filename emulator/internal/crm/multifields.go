package crm

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// deriveFromMultifields brings what follows from the multifields up to date.
func deriveFromMultifields(t *model.EntityType, v map[string]any) {
	if t.Fields.ByName[model.MultifieldsName] == nil {
		return
	}
	if v[model.MultifieldsName] == nil {
		v[model.MultifieldsName] = []any{}
	}
	v["HAS_PHONE"] = len(model.MultifieldsOf(v, "PHONE")) > 0
	v["HAS_EMAIL"] = len(model.MultifieldsOf(v, "EMAIL")) > 0
	v["HAS_IMOL"] = false
	for _, a := range model.FirstValues() {
		v[a.Name] = ""
		for _, m := range model.MultifieldsOf(v, a.Type) {
			if a.ValueType == "" || m.ValueType == a.ValueType {
				v[a.Name] = m.Value
				v["HAS_IMOL"] = v["HAS_IMOL"] == true || a.Name == "IMOL"
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
func mergeMultifields(s *model.Store, old any, input []multifieldInput) []any {
	before, _ := old.([]any)
	merged := slices.Clone(before)
	for _, in := range input {
		at := slices.IndexFunc(merged, func(v any) bool {
			m, _ := v.(model.Multifield)
			return in.id != 0 && m.ID == in.id && (in.typ == "" || m.Type == in.typ)
		})
		switch {
		case at >= 0 && (in.drop || in.value == ""):
			merged = slices.Delete(merged, at, at+1)
		case at >= 0:
			m, _ := merged[at].(model.Multifield)
			m.Value, m.ValueType = in.value, cmp.Or(in.valueType, m.ValueType)
			merged[at] = m
		case in.value != "" && !in.drop && model.IsMultifieldType(in.typ):
			merged = append(merged, model.Multifield{
				ID: s.Next("multifield"), Type: in.typ, ValueType: cmp.Or(in.valueType, "WORK"), Value: in.value,
			})
		}
	}
	if merged == nil {
		merged = []any{}
	}
	return merged
}

// multifieldJSON is an entry of fm as crm.item.* shows it.
func multifieldJSON(m model.Multifield) *php.Array {
	return value.Object("id", m.ID, "valueType", m.ValueType, "value", m.Value, "typeId", m.Type)
}

// legacyMultifieldJSON is an entry as the legacy methods show it.
func legacyMultifieldJSON(m model.Multifield) *php.Array {
	return value.Object("ID", value.Text(value.FromInt(m.ID)), "VALUE_TYPE", m.ValueType, "VALUE", m.Value, "TYPE_ID", m.Type)
}
