package emulator

import (
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// legacyJSON is an item as the legacy methods show it: everything is text or
// null. It has no lists of links.
func legacyJSON(s *store, it *item, only map[*field]bool) *php.Array {
	a := php.NewArray()
	for _, f := range it.typ.fields.all {
		if f.has(disabled|hidden|unread) || only != nil && !only[f] {
			continue
		}
		a.Set(f.legacy, legacyValue(s, f, it.values[f.name]))
	}
	return a
}

func legacyValue(s *store, f *field, v any) any {
	switch v := v.(type) {
	case nil:
		return legacyNull(f)
	case bool:
		if f.user != nil {
			return boolDigit(v)
		}
		return value.YesNo(v)
	case int64:
		return value.Text(value.FromInt(v))
	case num.Num:
		if f.user != nil || f.has(unscaled) {
			return v.String()
		}
		return value.Fixed(v, 2)
	case time.Time:
		if f.kind() == query.Date {
			return s.zone.StampDate(v)
		}
		return s.zone.Stamp(v)
	case []any:
		if len(v) == 0 {
			return false
		}
		values := php.NewArray()
		single := *f
		single.flags &^= multiple
		for _, x := range v {
			values.Append(legacyValue(s, &single, x))
		}
		return values
	}
	return v
}

// legacyNull is how the legacy methods show nothing: dates are empty text.
// https://apidocs.bitrix24.com/api-reference/crm/leads/crm-lead-get.html
func legacyNull(f *field) any {
	switch {
	case f.has(multiple):
		return false // an empty multiple custom field
	case f.kind() == query.Bool:
		return "N"
	case f.kind() == query.Date || f.kind() == query.Time:
		return ""
	case f.has(unscaled):
		return "0"
	}
	return nil
}

// boolDigit is how legacy methods show custom yes/no fields.
func boolDigit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// input reads the fields of add and update, and checks what the entity checks.
func (e legacyEntity) input(c *call, t *entityType, adding bool) (map[string]any, error) {
	changes, err := legacyFields(c, t, adding)
	if err != nil {
		return nil, err
	}
	if code, given := changes["CURRENCY_ID"].(string); given && e.currency && !isCurrency(code) {
		return nil, plainFail("Invalid value for the \"Currency\" field")
	}
	input, _ := changes[multifieldsName].([]multifieldInput)
	for _, in := range input {
		if e.checked && in.typ == "EMAIL" && in.value != "" && !strings.Contains(strings.Trim(in.value, "@"), "@") {
			return nil, fail("ERROR_CORE", "The field \"E-mail\" contains an invalid address")
		}
	}
	return changes, nil
}

// isCurrency tells whether text can be the code of a currency. Which ones a
// portal knows is not emulated.
func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// legacyFields reads the fields of a legacy call. Empty text clears; 0 is 0. An
// import may set who and when.
// https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html
func legacyFields(c *call, t *entityType, adding bool) (map[string]any, error) {
	fields, ok := value.Array(c.param("FIELDS"))
	if !ok {
		return nil, arrayWanted("fields")
	}
	params, ok := c.optionalArray("PARAMS")
	if !ok {
		return nil, arrayWanted("params")
	}
	v, _ := params.Get("IMPORT")
	importing := adding && v == "Y"
	changes := map[string]any{}
	var multifields []multifieldInput
	for name, v := range fields.All() {
		if isMultifieldType(name) {
			multifields = append(multifields, readLegacyMultifields(name, v)...)
			continue
		}
		f := t.fields.byLegacy[name]
		if f == nil || f.has(disabled|settled) || !adding && f.name == "CATEGORY_ID" {
			continue
		}
		if f.has(readOnly) && !(importing && slices.Contains(importable[:], f.name)) {
			continue
		}
		stored, ok, err := readLegacy(c.store(), f, v)
		if err != nil {
			return nil, err
		}
		if ok {
			changes[f.name] = stored
		}
	}
	if multifields != nil && t.fields.byName[multifieldsName] != nil {
		changes[multifieldsName] = multifields
	}
	if checkStage(t, changes) != nil {
		delete(changes, "STAGE_ID")
	}
	return changes, nil
}

// readLegacy turns a value of a legacy call into what is stored.
func readLegacy(s *store, f *field, v any) (stored any, ok bool, err error) {
	if v == nil || v == "" || v == false {
		return nil, true, nil
	}
	if _, isArray := value.Array(v); f.has(multiple) && !isArray {
		v = php.List(v)
	}
	stored, ok, err = readValue(s, f, v)
	if err != nil {
		return nil, false, plainFail("Invalid value of the field " + f.legacy + ".")
	}
	return stored, ok, nil
}
