package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/value"
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
	if id := c.param("FIELD_ID"); !value.IsEmpty(id) {
		if f := b.field(strings.ToUpper(value.Text(id))); f != nil {
			answer.Set(f.typ, listFieldJSON(c.store(), b, f))
		}
		return answer, nil
	}
	for _, f := range b.fields {
		answer.Set(f.name, listFieldJSON(c.store(), b, f))
	}
	return answer, nil
}

func listFieldJSON(s *store, b *iblock, f *listField) *php.Array {
	entry := value.Object(
		"FIELD_ID", f.name, "SORT", f.sort, "NAME", f.title, "IS_REQUIRED", value.YesNo(f.required),
		"MULTIPLE", value.YesNo(f.multiple), "DEFAULT_VALUE", f.def, "TYPE", f.typ,
	)
	if !f.property() {
		entry.Set("SETTINGS", f.settings)
		return entry
	}
	base, userType, _ := strings.Cut(f.typ, ":")
	entry.Set("PROPERTY_TYPE", base)
	entry.Set("PROPERTY_USER_TYPE", false)
	if userType != "" {
		entry.Set("PROPERTY_USER_TYPE", value.Object("PROPERTY_TYPE", base, "USER_TYPE", userType))
	}
	entry.Set("CODE", f.code)
	entry.Set("ID", value.Text(value.FromInt(f.id)))
	entry.Set("LINK_IBLOCK_ID", nil)
	if f.link != 0 {
		entry.Set("LINK_IBLOCK_ID", value.Text(value.FromInt(f.link)))
	}
	entry.Set("ROW_COUNT", value.Text(value.FromInt(f.rows)))
	entry.Set("COL_COUNT", value.Text(value.FromInt(f.columns)))
	entry.Set("USER_TYPE_SETTINGS", nil)
	if f.typeSettings != nil {
		entry.Set("USER_TYPE_SETTINGS", f.typeSettings)
	}
	entry.Set("SETTINGS", f.settings)
	if f.typ == "L" {
		values := php.NewArray()
		for _, o := range f.options {
			id := value.Text(value.FromInt(o.id))
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
	if err := checkNewListField(c, b, def, g); err != nil {
		return nil, err
	}
	f := c.store().addListField(b, def)
	arrangeField(f, g)
	addOptions(c.store(), f, g)
	return f.name, nil
}

// listFieldInput reads FIELDS of lists.field.add and .update.
func listFieldInput(c *call) (value.Fields, ListField, error) {
	g := value.UpperFields(c.param("FIELDS"))
	def := ListField{
		Type: value.Text(g["TYPE"]), Code: value.Text(g["CODE"]), Name: value.Text(g["NAME"]), Default: value.Text(g["DEFAULT_VALUE"]),
		Required: value.Text(g["IS_REQUIRED"]) == "Y", Multiple: value.Text(g["MULTIPLE"]) == "Y",
	}
	switch {
	case g["NAME"] == nil:
		return nil, def, missingParam("NAME")
	case g["TYPE"] == nil:
		return nil, def, missingParam("TYPE")
	}
	return g, def, nil
}

// arrangeField takes the sorting, the size, the link and the settings of a field.
func arrangeField(f *listField, g value.Fields) {
	g.Int("SORT", &f.sort)
	g.Int("ROW_COUNT", &f.rows)
	g.Int("COL_COUNT", &f.columns)
	g.Int("LINK_IBLOCK_ID", &f.link)
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
	given, _ := value.Array(v)
	for key, v := range given.All() {
		after.Set(name(key), v)
	}
	return after
}

// wrongSettings says what is wrong with the settings of a field, "" for nothing: one
// that cannot be filled in needs a default, a link the list that it goes to.
func wrongSettings(c *call, def ListField, g value.Fields) string {
	if lacksDefault(def, g) {
		return fmt.Sprintf("The default value of the field '%s' is required", def.Name)
	}
	if linksList(def.Type) && c.store().lists[value.Int(g["LINK_IBLOCK_ID"])] == nil {
		return fmt.Sprintf("Incorrect lists specified for '%s' property", def.Name)
	}
	return ""
}

// lacksDefault tells a field that cannot be filled in and has no default.
func lacksDefault(def ListField, g value.Fields) bool {
	settings, _ := value.Array(g["SETTINGS"])
	v, _ := settings.Get("ADD_READ_ONLY_FIELD")
	return v == "Y" && def.Type != "L" && value.IsEmpty(g["DEFAULT_VALUE"])
}

func checkNewListField(c *call, b *iblock, def ListField, g value.Fields) error {
	saving := func(text string) error { return fail("ERROR_SAVE_FIELD", text) }
	system := isSystemListField(def.Type)
	wrong := wrongSettings(c, def, g)
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
	if value.IsEmpty(c.param("FIELD_ID")) {
		return nil, missingParam("FIELD_ID")
	}
	g, def, err := listFieldInput(c)
	if err != nil {
		return nil, err
	}
	f := b.field(strings.ToUpper(value.Text(c.param("FIELD_ID"))))
	if f == nil || f.typ != def.Type {
		return nil, fail("ERROR_UPDATE_FIELD", "Error updating the field")
	}
	if wrong := wrongSettings(c, def, g); wrong != "" {
		return nil, fail("ERROR_UPDATE_FIELD", wrong)
	}
	f.title, f.required, f.multiple, f.def = def.Name, def.Required, def.Multiple && f.property(), def.Default
	if f.property() {
		f.code = cmp.Or(def.Code, f.code)
	}
	arrangeField(f, g)
	if _, ok := g["LIST"]; ok {
		old := f.options
		f.options = nil
		addOptions(c.store(), f, g)
		for i, o := range f.options {
			f.options[i].id = renamed(old, o, g)
		}
	}
	return true, nil
}

// renamed is the id of an old choice, where the call names it.
func renamed(old []option, o option, g value.Fields) int64 {
	values, _ := value.Array(g["LIST"])
	for key, v := range values.All() {
		entry, _ := value.Array(v)
		text, _ := value.Either(entry, "VALUE", "value")
		for _, was := range old {
			if value.Text(value.FromInt(was.id)) == key && strings.TrimSpace(value.Text(text)) == o.value {
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
	if value.IsEmpty(c.param("FIELD_ID")) {
		return nil, missingParam("FIELD_ID")
	}
	f := b.field(strings.ToUpper(value.Text(c.param("FIELD_ID"))))
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
func addOptions(s *store, f *listField, g value.Fields) {
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
	defaults, _ := value.Array(g["LIST_DEF"])
	isDefault := func(key string) bool {
		for _, v := range defaults.All() {
			if value.Text(v) == key {
				return true
			}
		}
		return false
	}
	values, _ := value.Array(g["LIST"])
	for key, v := range values.All() {
		entry, ok := value.Array(v)
		if !ok {
			continue
		}
		text, _ := value.Either(entry, "VALUE", "value")
		sort, _ := value.Either(entry, "SORT", "sort")
		def, _ := value.Either(entry, "DEF", "def")
		add(value.Text(text), value.Int(sort), def == "Y" || isDefault(key))
	}
	for line := range strings.SplitSeq(value.Text(g["LIST_TEXT_VALUES"]), "\n") {
		add(line, int64(len(f.options)+1)*10, false)
	}
}
