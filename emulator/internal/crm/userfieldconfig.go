package crm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func UserFieldConfigMethods() []rest.Method {
	return []rest.Method{
		{Name: "userfieldconfig.add", Scope: "userfieldconfig", Run: configAdd},
		{Name: "userfieldconfig.get", Scope: "userfieldconfig", Run: configGet},
		{Name: "userfieldconfig.list", Scope: "userfieldconfig", Run: configList},
		{Name: "userfieldconfig.update", Scope: "userfieldconfig", Run: configUpdate},
		{Name: "userfieldconfig.delete", Scope: "userfieldconfig", Run: configDelete},
		{Name: "userfieldconfig.getTypes", Scope: "userfieldconfig", Run: configTypes},
	}
}

// configModule checks moduleId: only the CRM has custom fields here.
func configModule(c *rest.Call) error {
	switch module := c.Param("moduleId"); {
	case module == nil:
		return c.Missing("moduleId")
	case module != "crm":
		return rest.FailText("No settings for UserFieldAccess")
	case !c.Options.Allows("crm"):
		return rest.FailText("The current method required more scopes. (crm)")
	}
	return nil
}

// configField finds the field that a call names. Who may not and what is not
// there are one error.
func configField(c *rest.Call, refusal string) (*model.EntityType, *model.Field, error) {
	if err := configModule(c); err != nil {
		return nil, nil, err
	}
	id, err := c.IntParam("id")
	if err != nil {
		return nil, nil, err
	}
	t, f := c.Store.UserFieldByID(id)
	if f == nil || !c.IsAdmin() {
		return nil, nil, rest.FailText(refusal)
	}
	return t, f, nil
}

// configInput reads field: its camel-case names become stored ones.
func configInput(c *rest.Call) (value.Fields, error) {
	fields, ok := value.Array(c.Param("field"))
	if !ok {
		return nil, c.WrongType("field", "array")
	}
	g := value.Fields{}
	for name, v := range fields.All() {
		switch name {
		case "showInList", "listColumnLabel", "listFilterLabel", "errorMessage", "label":
			continue // not processed, even if they are there
		}
		g[value.UpperName(name)] = v
	}
	return g, nil
}

// configAdd is userfieldconfig.add.
// https://apidocs.bitrix24.com/api-reference/crm/universal/userfieldconfig/userfieldconfig-add.html
func configAdd(c *rest.Call) (any, error) {
	if err := configModule(c); err != nil {
		return nil, err
	}
	g, err := configInput(c)
	if err != nil {
		return nil, err
	}
	name := strings.ToUpper(value.Text(g["FIELD_NAME"]))
	switch {
	case !c.IsAdmin():
		return nil, rest.FailText("Access denied")
	case value.IsEmpty(g["USER_TYPE_ID"]):
		return nil, rest.FailText("The 'USER_TYPE_ID' field is not found.")
	case name == "":
		return nil, rest.FailText("The 'FIELD_NAME' field is not found.")
	}
	s := c.Store
	entity := value.Text(g["ENTITY_ID"])
	at := slices.IndexFunc(s.SortedTypes(), func(t *model.EntityType) bool { return t.UserEntity() == entity })
	if at < 0 {
		return nil, rest.FailText("You cannot create custom fields")
	}
	t := s.SortedTypes()[at]
	prefix := "UF_CRM_"
	if t.Dynamic != nil {
		prefix = "UF_" + entity + "_"
	}
	switch {
	case !strings.HasPrefix(name, prefix) || len(name) == len(prefix):
		return nil, rest.FailText("You cannot create custom fields")
	case t.Fields.ByName[name] != nil:
		return nil, rest.FailText(fmt.Sprintf("Field %s for entity %s already exists.", name, entity))
	case checkFieldName(name) != "" || !model.IsUserFieldType(value.Text(g["USER_TYPE_ID"])):
		return nil, rest.FailText("Fail to create new user field")
	}
	f := addUserField(c, t, name, g, g["ENUM"])
	return value.Object("field", configJSON(c.Store, t, f, configLanguages(f), true)), nil
}

// addUserField makes a custom field of a call and raises its events: the choices
// of an enumeration have their own event.
func addUserField(c *rest.Call, t *model.EntityType, name string, g value.Fields, choices any) *model.Field {
	s := c.Store
	f := s.NewCustomField(model.UserField{Name: name, Type: value.Text(g["USER_TYPE_ID"]), Multiple: g["MULTIPLE"] == "Y"})
	changeUserField(f, g)
	f.Title = f.User.Title
	t.Fields.Add(f)
	fireUserField(c, t, f, rest.OpAdd)
	if entries, ok := value.Array(choices); ok && f.Type == "enumeration" && entries.Len() > 0 {
		changeOptions(s, f.User, choices, true)
		fireUserField(c, t, f, opSetValues)
	}
	return f
}

// checkFieldName says what is wrong with the name of a custom field.
func checkFieldName(name string) string {
	switch {
	case len(name) > 50:
		return "Field name is too long (more than 50 characters)."
	case strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "":
		return "Field name contains invalid characters. Allowed characters are: A-Z, 0-9 and _."
	}
	return ""
}

// configLanguages are the languages that a field has texts in, English always.
func configLanguages(f *model.Field) []string {
	languages := []string{"en"}
	for _, texts := range f.User.Labels {
		for language := range texts {
			if !slices.Contains(languages, language) {
				languages = append(languages, language)
			}
		}
	}
	slices.Sort(languages)
	return languages
}

// configJSON is a custom field as userfieldconfig.* shows it: camel-case names
// with ids and numbers as text. Without languages there are no labels.
func configJSON(s *model.Store, t *model.EntityType, f *model.Field, languages []string, whole bool) *php.Array {
	a := userFrameJSON(s, t, f, value.CamelName)
	if languages != nil {
		known := php.NewArray()
		for _, language := range languages {
			known.Set(language, language)
		}
		a.Set("languageId", known)
	}
	for _, name := range userLabels {
		texts, any := php.NewArray(), false
		for _, language := range languages {
			text, ok := f.User.Labels[name][language]
			texts.Set(language, nil)
			if ok {
				texts.Set(language, text)
				any = true
			}
		}
		a.Set(value.CamelName(name), nil)
		if languages != nil && (whole || any) {
			a.Set(value.CamelName(name), texts)
		}
	}
	if whole && f.Type == "enumeration" {
		a.Set("enum", optionsJSON(f.User, true, value.CamelName))
	}
	return a
}

const configUnseen = "You do not have permission to view user field settings"

func configGet(c *rest.Call) (any, error) {
	t, f, err := configField(c, configUnseen)
	if err != nil {
		return nil, err
	}
	return value.Object("field", configJSON(c.Store, t, f, configLanguages(f), true)), nil
}

// userFieldRow is a custom field with the type that it is of.
type userFieldRow struct {
	typ   *model.EntityType
	field *model.Field
}

// userFieldColumn finds what custom fields are filtered and ordered by, under
// their stored names.
func userFieldColumn(name string) (query.Column[userFieldRow], bool) {
	switch name {
	case "ID":
		return query.NewColumn(name, query.Int, func(r userFieldRow) any { return r.field.User.ID }), true
	case "SORT":
		return query.NewColumn(name, query.Int, func(r userFieldRow) any { return r.field.User.Sort }), true
	case "ENTITY_ID":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return r.typ.UserEntity() }), true
	case "FIELD_NAME":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return r.field.Name }), true
	case "USER_TYPE_ID":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return r.field.User.Type }), true
	case "XML_ID":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return r.field.User.XMLID }), true
	case "MULTIPLE":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return value.YesNo(r.field.User.Multiple) }), true
	case "MANDATORY":
		return query.NewColumn(name, query.Text, func(r userFieldRow) any { return value.YesNo(r.field.User.Required) }), true
	}
	for _, sw := range userSwitches {
		if sw[0] == name {
			return query.NewColumn(name, query.Text, func(r userFieldRow) any { return switchOf(r.field.User, sw[0], sw[1]) }), true
		}
	}
	return query.Column[userFieldRow]{}, false
}

// userFieldRows are the custom fields of types, by their sorting and ids.
func userFieldRows(types ...*model.EntityType) []userFieldRow {
	var rows []userFieldRow
	for _, t := range types {
		for _, f := range t.Fields.All {
			if f.User != nil {
				rows = append(rows, userFieldRow{t, f})
			}
		}
	}
	slices.SortFunc(rows, func(a, b userFieldRow) int {
		if d := cmp.Compare(a.field.User.Sort, b.field.User.Sort); d != 0 {
			return d
		}
		return cmp.Compare(a.field.User.ID, b.field.User.ID)
	})
	return rows
}

// configList is userfieldconfig.list. Labels come only for a language that is
// asked for in select, and choices not at all.
func configList(c *rest.Call) (any, error) {
	if err := configModule(c); err != nil {
		return nil, err
	}
	if !c.IsAdmin() {
		return nil, rest.FailText(configUnseen)
	}
	filter, order, err := c.Conditions()
	if err != nil {
		return nil, err
	}
	chosen, err := c.ArrayParam("select")
	if err != nil {
		return nil, err
	}
	s := c.Store
	find := func(name string) (query.Column[userFieldRow], bool) { return userFieldColumn(value.UpperName(name)) }
	r := query.Rules[userFieldRow]{Find: find, Zone: s.Zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(userFieldRows(s.SortedTypes()...), pass)
	query.Sort(found, query.LenientOrder(order, find))
	var languages []string
	if language, ok := chosen.Get("language"); ok {
		languages = []string{value.Text(language)}
	}
	fields := php.NewArray()
	for _, x := range rest.Page(c, found) {
		fields.Append(configJSON(s, x.typ, x.field, languages, false))
	}
	return value.Object("fields", fields), nil
}

// configUpdate is userfieldconfig.update. Choices change only where the type is
// named too.
func configUpdate(c *rest.Call) (any, error) {
	t, f, err := configField(c, "You cannot change the settings of the user field")
	if err != nil {
		return nil, err
	}
	fields, err := c.ArrayParam("field")
	if err != nil {
		return nil, err
	}
	g := value.Fields{}
	if fields.Len() > 0 {
		if g, err = configInput(c); err != nil {
			return nil, err
		}
	}
	delete(g, "EDIT_IN_LIST") // only add takes it
	choices, ok := g["ENUM"]
	updateUserField(c, t, f, g, choices, ok && g["USER_TYPE_ID"] == "enumeration", true)
	return value.Object("field", configJSON(c.Store, t, f, configLanguages(f), true)), nil
}

// updateUserField changes a custom field and raises the events of what a call
// named: its settings, its choices, or both.
func updateUserField(c *rest.Call, t *model.EntityType, f *model.Field, g value.Fields, choices any, hasChoices, whole bool) {
	changed := changeUserField(f, g)
	f.Title = f.User.Title
	if changed {
		fireUserField(c, t, f, rest.OpUpdate)
	}
	if hasChoices && f.Type == "enumeration" {
		changeOptions(c.Store, f.User, choices, whole)
		fireUserField(c, t, f, opSetValues)
	}
}

// configDelete is userfieldconfig.delete. Its result is null.
func configDelete(c *rest.Call) (any, error) {
	t, f, err := configField(c, "You cannot delete the user field")
	if err != nil {
		return nil, err
	}
	c.Store.DropUserField(t, f)
	fireUserField(c, t, f, rest.OpDelete)
	return nil, nil
}

func configTypes(c *rest.Call) (any, error) {
	if err := configModule(c); err != nil {
		return nil, err
	}
	types := php.NewArray()
	for _, t := range model.UserFieldTypes() {
		types.Set(t[0], value.Object("userTypeId", t[0], "description", t[1]))
	}
	return value.Object("types", types), nil
}
