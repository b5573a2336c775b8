package emulator

import (
	"fmt"
	"strings"

	"b24rules/bitrix/php"
)

// listFieldGet is lists.field.get. All fields are keyed by their names; a
// single one is keyed by its type.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-get.html
func listFieldGet(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	answer := php.NewArray()
	if id := c.param("FIELD_ID"); !isEmpty(id) {
		if f := b.field(strings.ToUpper(toText(id))); f != nil {
			answer.Set(f.typ, c.store().listFieldJSON(b, f))
		}
		return answer, nil
	}
	for _, f := range b.fields {
		answer.Set(f.name, c.store().listFieldJSON(b, f))
	}
	return answer, nil
}

func (s *store) listFieldJSON(b *iblock, f *listField) *php.Array {
	entry := object(
		"FIELD_ID", f.name, "SORT", f.sort, "NAME", f.title, "IS_REQUIRED", yesNo(f.required),
		"MULTIPLE", yesNo(f.multiple), "DEFAULT_VALUE", f.def, "TYPE", f.typ,
	)
	if !f.property() {
		entry.Set("SETTINGS", f.settings)
		return entry
	}
	base, userType, _ := strings.Cut(f.typ, ":")
	entry.Set("PROPERTY_TYPE", base)
	entry.Set("PROPERTY_USER_TYPE", false)
	if userType != "" {
		entry.Set("PROPERTY_USER_TYPE", object("PROPERTY_TYPE", base, "USER_TYPE", userType))
	}
	entry.Set("CODE", f.code)
	entry.Set("ID", toText(intValue(f.id)))
	entry.Set("LINK_IBLOCK_ID", nil)
	entry.Set("ROW_COUNT", "1")
	entry.Set("COL_COUNT", "30")
	entry.Set("USER_TYPE_SETTINGS", nil)
	entry.Set("SETTINGS", f.settings)
	if f.typ == "L" {
		values := php.NewArray()
		for _, o := range f.options {
			id := toText(intValue(o.id))
			values.Set(id, o.value)
			if o.def {
				entry.Set("DEFAULT_VALUE", id)
			}
		}
		entry.Set("DISPLAY_VALUES_FORM", values)
	}
	return entry
}

// listFieldAdd is lists.field.add. Each failed check is ERROR_SAVE_FIELD.
func listFieldAdd(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	input, _ := asArray(c.param("FIELDS"))
	g := given{}
	for name, v := range input.All() {
		g[strings.ToUpper(name)] = v
	}
	def := ListField{
		Type: toText(g["TYPE"]), Code: toText(g["CODE"]), Name: toText(g["NAME"]), Default: toText(g["DEFAULT_VALUE"]),
		Required: toText(g["IS_REQUIRED"]) == "Y", Multiple: toText(g["MULTIPLE"]) == "Y",
	}
	switch {
	case g["NAME"] == nil:
		return nil, missingParam("NAME")
	case g["TYPE"] == nil:
		return nil, missingParam("TYPE")
	}
	if err := checkNewListField(b, def, g); err != nil {
		return nil, err
	}
	f := c.store().addListField(b, def)
	if sort, ok := g["SORT"]; ok {
		f.sort = toInt(sort)
	}
	if settings, ok := asArray(g["SETTINGS"]); ok {
		for name, v := range settings.All() {
			f.settings.Set(strings.ToUpper(name), v)
		}
	}
	c.store().addOptions(f, g)
	return f.name, nil
}

func checkNewListField(b *iblock, def ListField, g given) error {
	saving := func(text string) error { return fail("ERROR_SAVE_FIELD", text) }
	settings, _ := asArray(g["SETTINGS"])
	if v, _ := settings.Get("ADD_READ_ONLY_FIELD"); v == "Y" && def.Type != "L" && isEmpty(g["DEFAULT_VALUE"]) {
		return saving(fmt.Sprintf("The default value of the field %q is required", def.Name))
	}
	if isSystemListField(def.Type) {
		if b.field(def.Type) != nil {
			return saving("Error saving the field")
		}
		return nil
	}
	switch {
	case !isPropertyType(def.Type):
		return saving("Error saving the field")
	case def.Code == "":
		return saving("Please fill the code fields")
	case b.byCode(def.Code) != nil:
		return saving("Property already exists")
	}
	return nil
}

// addOptions reads the choices of a new field of type L: LIST, then the lines of
// LIST_TEXT_VALUES that are not among them.
func (s *store) addOptions(f *listField, g given) {
	if f.typ != "L" {
		return
	}
	known := map[string]bool{}
	add := func(text string, sort int64, def bool) {
		if text = strings.TrimSpace(text); text == "" || known[text] {
			return
		}
		known[text] = true
		f.options = append(f.options, option{id: s.next("listOption"), value: text, sort: sort, def: def})
	}
	defaults, _ := asArray(g["LIST_DEF"])
	isDefault := func(key string) bool {
		for _, v := range defaults.All() {
			if toText(v) == key {
				return true
			}
		}
		return false
	}
	values, _ := asArray(g["LIST"])
	for key, v := range values.All() {
		entry, ok := asArray(v)
		if !ok {
			continue
		}
		text, _ := either(entry, "VALUE", "value")
		sort, _ := either(entry, "SORT", "sort")
		def, _ := either(entry, "DEF", "def")
		add(toText(text), toInt(sort), def == "Y" || isDefault(key))
	}
	for line := range strings.SplitSeq(toText(g["LIST_TEXT_VALUES"]), "\n") {
		add(line, int64(len(f.options)+1)*10, false)
	}
}
