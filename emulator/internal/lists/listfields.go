package lists

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// listFieldGet is lists.field.get. All fields are keyed by their names; a
// single one is keyed by its type.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-get.html
func listFieldGet(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	answer := php.NewArray()
	if id := c.Param("FIELD_ID"); !value.IsEmpty(id) {
		if f := b.Field(strings.ToUpper(value.Text(id))); f != nil {
			answer.Set(f.Type, listFieldJSON(c.Store, b, f))
		}
		return answer, nil
	}
	for _, f := range b.Fields {
		answer.Set(f.Name, listFieldJSON(c.Store, b, f))
	}
	return answer, nil
}

func listFieldJSON(s *model.Store, b *model.IBlock, f *model.IBlockField) *php.Array {
	entry := value.Object(
		"FIELD_ID", f.Name, "SORT", f.Sort, "NAME", f.Title, "IS_REQUIRED", value.YesNo(f.Required),
		"MULTIPLE", value.YesNo(f.Multiple), "DEFAULT_VALUE", f.Default, "TYPE", f.Type,
	)
	if !f.IsProperty() {
		entry.Set("SETTINGS", f.Settings)
		return entry
	}
	base, userType, _ := strings.Cut(f.Type, ":")
	entry.Set("PROPERTY_TYPE", base)
	entry.Set("PROPERTY_USER_TYPE", false)
	if userType != "" {
		entry.Set("PROPERTY_USER_TYPE", value.Object("PROPERTY_TYPE", base, "USER_TYPE", userType))
	}
	entry.Set("CODE", f.Code)
	entry.Set("ID", value.Text(value.FromInt(f.ID)))
	entry.Set("LINK_IBLOCK_ID", nil)
	if f.Link != 0 {
		entry.Set("LINK_IBLOCK_ID", value.Text(value.FromInt(f.Link)))
	}
	entry.Set("ROW_COUNT", value.Text(value.FromInt(f.Rows)))
	entry.Set("COL_COUNT", value.Text(value.FromInt(f.Columns)))
	entry.Set("USER_TYPE_SETTINGS", nil)
	if f.TypeSettings != nil {
		entry.Set("USER_TYPE_SETTINGS", f.TypeSettings)
	}
	entry.Set("SETTINGS", f.Settings)
	if f.Type == "L" {
		values := php.NewArray()
		for _, o := range f.Options {
			id := value.Text(value.FromInt(o.ID))
			values.Set(id, o.Value)
			if o.Default {
				entry.Set("DEFAULT_VALUE", id)
			}
		}
		entry.Set("DISPLAY_VALUES_FORM", values)
	}
	return entry
}

// listFieldAdd is lists.field.add. Each failed check is ERROR_SAVE_FIELD.
func listFieldAdd(c *rest.Call) (any, error) {
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
	f := c.Store.AddListField(b, def)
	arrangeField(f, g)
	addOptions(c.Store, f, g)
	return f.Name, nil
}

// listFieldInput reads FIELDS of lists.field.add and .update.
func listFieldInput(c *rest.Call) (value.Fields, model.ListField, error) {
	g := value.UpperFields(c.Param("FIELDS"))
	def := model.ListField{
		Type: value.Text(g["TYPE"]), Code: value.Text(g["CODE"]), Name: value.Text(g["NAME"]), Default: value.Text(g["DEFAULT_VALUE"]),
		Required: value.Text(g["IS_REQUIRED"]) == "Y", Multiple: value.Text(g["MULTIPLE"]) == "Y",
	}
	switch {
	case g["NAME"] == nil:
		return nil, def, rest.MissingParam("NAME")
	case g["TYPE"] == nil:
		return nil, def, rest.MissingParam("TYPE")
	}
	return g, def, nil
}

// arrangeField takes the sorting, the size, the link and the settings of a field.
func arrangeField(f *model.IBlockField, g value.Fields) {
	g.Int("SORT", &f.Sort)
	g.Int("ROW_COUNT", &f.Rows)
	g.Int("COL_COUNT", &f.Columns)
	g.Int("LINK_IBLOCK_ID", &f.Link)
	f.Settings = rest.WithSettings(f.Settings, g["SETTINGS"], strings.ToUpper)
	if f.TypeSettings != nil {
		f.TypeSettings = rest.WithSettings(f.TypeSettings, g["USER_TYPE_SETTINGS"], func(name string) string { return name })
	}
}

// wrongSettings says what is wrong with the settings of a field, "" for nothing: one
// that cannot be filled in needs a default, a link the list that it goes to.
func wrongSettings(c *rest.Call, def model.ListField, g value.Fields) string {
	if lacksDefault(def, g) {
		return fmt.Sprintf("The default value of the field '%s' is required", def.Name)
	}
	if linksList(def.Type) && c.Store.Lists[value.Int(g["LINK_IBLOCK_ID"])] == nil {
		return fmt.Sprintf("Incorrect lists specified for '%s' property", def.Name)
	}
	return ""
}

// lacksDefault tells a field that cannot be filled in and has no default.
func lacksDefault(def model.ListField, g value.Fields) bool {
	settings, _ := value.Array(g["SETTINGS"])
	v, _ := settings.Get("ADD_READ_ONLY_FIELD")
	return v == "Y" && def.Type != "L" && value.IsEmpty(g["DEFAULT_VALUE"])
}

func checkNewListField(c *rest.Call, b *model.IBlock, def model.ListField, g value.Fields) error {
	saving := func(text string) error { return rest.Fail("ERROR_SAVE_FIELD", text) }
	system := model.IsSystemListField(def.Type)
	wrong := wrongSettings(c, def, g)
	switch {
	case system && b.Field(def.Type) != nil, !system && !isPropertyType(def.Type):
		return saving("Error saving the field")
	case wrong != "":
		return saving(wrong)
	case system:
		return nil
	case def.Code == "":
		return saving("Please fill the code fields")
	case b.FieldByCode(def.Code) != nil:
		return saving("Property already exists")
	}
	return nil
}

// listFieldUpdate is lists.field.update. The type stays what it is. Choices of
// type L that LIST does not name by their ids are gone.
func listFieldUpdate(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if value.IsEmpty(c.Param("FIELD_ID")) {
		return nil, rest.MissingParam("FIELD_ID")
	}
	g, def, err := listFieldInput(c)
	if err != nil {
		return nil, err
	}
	f := b.Field(strings.ToUpper(value.Text(c.Param("FIELD_ID"))))
	if f == nil || f.Type != def.Type {
		return nil, rest.Fail("ERROR_UPDATE_FIELD", "Error updating the field")
	}
	if wrong := wrongSettings(c, def, g); wrong != "" {
		return nil, rest.Fail("ERROR_UPDATE_FIELD", wrong)
	}
	f.Title, f.Required, f.Multiple, f.Default = def.Name, def.Required, def.Multiple && f.IsProperty(), def.Default
	if f.IsProperty() {
		f.Code = cmp.Or(def.Code, f.Code)
	}
	arrangeField(f, g)
	if _, ok := g["LIST"]; ok {
		old := f.Options
		f.Options = nil
		addOptions(c.Store, f, g)
		for i, o := range f.Options {
			f.Options[i].ID = renamed(old, o, g)
		}
	}
	return true, nil
}

// renamed is the id of an old choice, where the call names it.
func renamed(old []model.Option, o model.Option, g value.Fields) int64 {
	values, _ := value.Array(g["LIST"])
	for key, v := range values.All() {
		entry, _ := value.Array(v)
		text, _ := value.Either(entry, "VALUE", "value")
		for _, was := range old {
			if value.Text(value.FromInt(was.ID)) == key && strings.TrimSpace(value.Text(text)) == o.Value {
				return was.ID
			}
		}
	}
	return o.ID
}

// listFieldDelete is lists.field.delete: the property's values go too. A field
// that is not there is no error.
func listFieldDelete(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if value.IsEmpty(c.Param("FIELD_ID")) {
		return nil, rest.MissingParam("FIELD_ID")
	}
	f := b.Field(strings.ToUpper(value.Text(c.Param("FIELD_ID"))))
	if f == nil || f.Name == "NAME" {
		return true, nil
	}
	b.Fields = slices.DeleteFunc(b.Fields, func(x *model.IBlockField) bool { return x == f })
	b.Elements.DropField(f)
	return true, nil
}

// addOptions reads the choices of a field of type L: LIST, then the lines of
// LIST_TEXT_VALUES that are not among them.
func addOptions(s *model.Store, f *model.IBlockField, g value.Fields) {
	if f.Type != "L" {
		return
	}
	known := map[string]bool{}
	add := func(text string, sort int64, def bool) {
		if text = strings.TrimSpace(text); text == "" || known[text] {
			return
		}
		known[text] = true
		f.Options = append(f.Options, model.Option{ID: s.Next("listOption"), Value: text, Sort: sort, Default: def})
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
		add(line, int64(len(f.Options)+1)*10, false)
	}
}
