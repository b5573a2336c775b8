package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/php"
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
	if f.link != 0 {
		entry.Set("LINK_IBLOCK_ID", toText(intValue(f.link)))
	}
	entry.Set("ROW_COUNT", toText(intValue(f.rows)))
	entry.Set("COL_COUNT", toText(intValue(f.columns)))
	entry.Set("USER_TYPE_SETTINGS", nil)
	if f.typeSettings != nil {
		entry.Set("USER_TYPE_SETTINGS", f.typeSettings)
	}
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
	g, def, err := listFieldInput(c)
	if err != nil {
		return nil, err
	}
	if err := c.checkNewListField(b, def, g); err != nil {
		return nil, err
	}
	f := c.store().addListField(b, def)
	f.arrange(g)
	c.store().addOptions(f, g)
	return f.name, nil
}

// listFieldInput reads FIELDS of lists.field.add and .update.
func listFieldInput(c *call) (given, ListField, error) {
	g := upperGiven(c.param("FIELDS"))
	def := ListField{
		Type: toText(g["TYPE"]), Code: toText(g["CODE"]), Name: toText(g["NAME"]), Default: toText(g["DEFAULT_VALUE"]),
		Required: toText(g["IS_REQUIRED"]) == "Y", Multiple: toText(g["MULTIPLE"]) == "Y",
	}
	switch {
	case g["NAME"] == nil:
		return nil, def, missingParam("NAME")
	case g["TYPE"] == nil:
		return nil, def, missingParam("TYPE")
	}
	return g, def, nil
}

// arrange takes the sorting, the size, the link and the settings of a field.
func (f *listField) arrange(g given) {
	g.int("SORT", &f.sort)
	g.int("ROW_COUNT", &f.rows)
	g.int("COL_COUNT", &f.columns)
	g.int("LINK_IBLOCK_ID", &f.link)
	f.settings = withSettings(f.settings, g["SETTINGS"], strings.ToUpper)
	if f.typeSettings != nil {
		f.typeSettings = withSettings(f.typeSettings, g["USER_TYPE_SETTINGS"], func(name string) string { return name })
	}
}

// withSettings are settings with those of a call over them, which have the names that name
// gives them. It is a copy: an answer may hold the old ones and not be written yet.
func withSettings(settings *php.Array, v any, name func(string) string) *php.Array {
	after := php.NewArray()
	for key, old := range settings.All() {
		after.Set(key, old)
	}
	given, _ := asArray(v)
	for key, v := range given.All() {
		after.Set(name(key), v)
	}
	return after
}

// wrongSettings says what is wrong with the settings of a field, "" for nothing: one
// that cannot be filled in needs a default, a link the list that it goes to.
func (c *call) wrongSettings(def ListField, g given) string {
	if def.lacksDefault(g) {
		return fmt.Sprintf("The default value of the field '%s' is required", def.Name)
	}
	if linksList(def.Type) && c.store().lists[toInt(g["LINK_IBLOCK_ID"])] == nil {
		return fmt.Sprintf("Incorrect lists specified for '%s' property", def.Name)
	}
	return ""
}

// lacksDefault tells a field that cannot be filled in and has no default.
func (def ListField) lacksDefault(g given) bool {
	settings, _ := asArray(g["SETTINGS"])
	v, _ := settings.Get("ADD_READ_ONLY_FIELD")
	return v == "Y" && def.Type != "L" && isEmpty(g["DEFAULT_VALUE"])
}

func (c *call) checkNewListField(b *iblock, def ListField, g given) error {
	saving := func(text string) error { return fail("ERROR_SAVE_FIELD", text) }
	system := isSystemListField(def.Type)
	wrong := c.wrongSettings(def, g)
	switch {
	case system && b.field(def.Type) != nil, !system && !isPropertyType(def.Type):
		return saving("Error saving the field")
	case wrong != "":
		return saving(wrong)
	case system:
		return nil
	case def.Code == "":
		return saving("Please fill the code fields")
	case b.byCode(def.Code) != nil:
		return saving("Property already exists")
	}
	return nil
}

// listFieldUpdate is lists.field.update. The type stays what it is. Choices of
// type L that LIST does not name by their ids are gone.
func listFieldUpdate(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if isEmpty(c.param("FIELD_ID")) {
		return nil, missingParam("FIELD_ID")
	}
	g, def, err := listFieldInput(c)
	if err != nil {
		return nil, err
	}
	f := b.field(strings.ToUpper(toText(c.param("FIELD_ID"))))
	if f == nil || f.typ != def.Type {
		return nil, fail("ERROR_UPDATE_FIELD", "Error updating the field")
	}
	if wrong := c.wrongSettings(def, g); wrong != "" {
		return nil, fail("ERROR_UPDATE_FIELD", wrong)
	}
	f.title, f.required, f.multiple, f.def = def.Name, def.Required, def.Multiple && f.property(), def.Default
	if f.property() {
		f.code = cmp.Or(def.Code, f.code)
	}
	f.arrange(g)
	if _, ok := g["LIST"]; ok {
		old := f.options
		f.options = nil
		c.store().addOptions(f, g)
		for i, o := range f.options {
			f.options[i].id = renamed(old, o, g)
		}
	}
	return true, nil
}

// renamed is the id of an old choice, where the call names it.
func renamed(old []option, o option, g given) int64 {
	values, _ := asArray(g["LIST"])
	for key, v := range values.All() {
		entry, _ := asArray(v)
		text, _ := either(entry, "VALUE", "value")
		for _, was := range old {
			if toText(intValue(was.id)) == key && strings.TrimSpace(toText(text)) == o.value {
				return was.id
			}
		}
	}
	return o.id
}

// listFieldDelete is lists.field.delete: the property's values go too. A field
// that is not there is no error.
func listFieldDelete(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if isEmpty(c.param("FIELD_ID")) {
		return nil, missingParam("FIELD_ID")
	}
	f := b.field(strings.ToUpper(toText(c.param("FIELD_ID"))))
	if f == nil || f.name == "NAME" {
		return true, nil
	}
	b.fields = slices.DeleteFunc(b.fields, func(x *listField) bool { return x == f })
	for _, e := range b.elements {
		delete(e.properties, f.id)
		delete(e.system, f.name)
	}
	return true, nil
}

// addOptions reads the choices of a field of type L: LIST, then the lines of
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
