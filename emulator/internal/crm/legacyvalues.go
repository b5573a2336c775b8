package crm

import (
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// legacyJSON is an item as the legacy methods show it: everything is text or
// null. It has no lists of links.
func legacyJSON(s *model.Store, it *model.Item, only map[*model.Field]bool) *php.Array {
	a := php.NewArray()
	for _, f := range it.Type.Fields.All {
		if f.Has(model.Disabled|model.UniversalOnly|model.LegacyWriteOnly) || only != nil && !only[f] {
			continue
		}
		a.Set(f.Legacy, legacyValue(s, f, it.Values[f.Name]))
	}
	return a
}

func legacyValue(s *model.Store, f *model.Field, v any) any {
	switch v := v.(type) {
	case nil:
		return legacyNull(f)
	case bool:
		if f.User != nil {
			return boolDigit(v)
		}
		return value.YesNo(v)
	case int64:
		return value.Text(value.FromInt(v))
	case num.Num:
		if f.User != nil || f.Has(model.Unscaled) {
			return v.String()
		}
		return value.Fixed(v, 2)
	case time.Time:
		if f.Kind() == query.Date {
			return s.Zone.StampDate(v)
		}
		return s.Zone.Stamp(v)
	case []any:
		if len(v) == 0 {
			return false
		}
		values := php.NewArray()
		single := *f
		single.Flags &^= model.Multiple
		for _, x := range v {
			values.Append(legacyValue(s, &single, x))
		}
		return values
	}
	return v
}

// legacyNull is how the legacy methods show nothing: dates are empty text.
// https://apidocs.bitrix24.com/api-reference/crm/leads/crm-lead-get.html
func legacyNull(f *model.Field) any {
	switch {
	case f.Has(model.Multiple):
		return false // an empty multiple custom field
	case f.Kind() == query.Bool:
		return "N"
	case f.Kind() == query.Date || f.Kind() == query.Time:
		return ""
	case f.Has(model.Unscaled):
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
func (e legacyEntity) input(c *rest.Call, t *model.EntityType, adding bool) (map[string]any, error) {
	changes, err := legacyFields(c, t, adding)
	if err != nil {
		return nil, err
	}
	if code, given := changes["CURRENCY_ID"].(string); given && e.currency && !isCurrency(code) {
		return nil, rest.FailText("Invalid value for the \"Currency\" field")
	}
	input, _ := changes[model.MultifieldsName].([]multifieldInput)
	for _, in := range input {
		if e.checked && in.typ == "EMAIL" && in.value != "" && !strings.Contains(strings.Trim(in.value, "@"), "@") {
			return nil, rest.Fail("ERROR_CORE", "The field \"E-mail\" contains an invalid address")
		}
	}
	return changes, nil
}

// isCurrency reports whether text can be the code of a currency. Which ones a
// portal knows is not emulated.
func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// legacyFields reads the fields of a legacy call. Empty text clears; 0 is 0. An
// import may set who and when.
// https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html
func legacyFields(c *rest.Call, t *model.EntityType, adding bool) (map[string]any, error) {
	fields, ok := value.Array(c.Param("FIELDS"))
	if !ok {
		return nil, rest.NoArray("fields")
	}
	params, ok := c.OptionalArray("PARAMS")
	if !ok {
		return nil, rest.NoArray("params")
	}
	v, _ := params.Get("IMPORT")
	importing := adding && v == "Y"
	changes := map[string]any{}
	var multifields []multifieldInput
	for name, v := range fields.All() {
		if model.IsMultifieldType(name) {
			multifields = append(multifields, readLegacyMultifields(name, v)...)
			continue
		}
		f := t.Fields.ByLegacy[name]
		if f == nil || f.Has(model.Disabled|model.LegacyReadOnly) || !adding && f.Name == "CATEGORY_ID" || c.Forgets(f.Name, f.Legacy) {
			continue
		}
		if f.Has(model.ReadOnly) && !(importing && slices.Contains(importable[:], f.Name)) {
			continue
		}
		stored, ok, err := readLegacy(c.Store, f, v)
		if err != nil {
			return nil, err
		}
		if ok {
			changes[f.Name] = stored
		}
	}
	if multifields != nil && t.Fields.ByName[model.MultifieldsName] != nil {
		changes[model.MultifieldsName] = multifields
	}
	if checkStage(t, changes) != nil {
		delete(changes, "STAGE_ID")
	}
	return changes, nil
}

// readLegacy turns a value of a legacy call into what is stored.
func readLegacy(s *model.Store, f *model.Field, v any) (stored any, ok bool, err error) {
	if v == nil || v == "" || v == false {
		return nil, true, nil
	}
	if _, isArray := value.Array(v); f.Has(model.Multiple) && !isArray {
		v = php.List(v)
	}
	stored, ok, err = readValue(s, f, v)
	if err != nil {
		return nil, false, rest.FailText("Invalid value of the field " + f.Legacy + ".")
	}
	return stored, ok, nil
}
