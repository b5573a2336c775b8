package crm

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// legacyUserField is a custom field as crm.deal.userfield.* and the like show it.
// languages are those of the labels: all of them in get, one in list.
func legacyUserField(s *model.Store, t *model.EntityType, f *model.Field, language string) *php.Array {
	a := userFrameJSON(s, t, f, func(name string) string { return name })
	for _, name := range userLabels {
		texts := f.User.Labels[name]
		if language != "" {
			a.Set(name, value.TextOrNull(texts[language]))
			continue
		}
		byLanguage := php.NewArray()
		for _, l := range userLanguages {
			byLanguage.Set(l, texts[l])
		}
		a.Set(name, byLanguage)
	}
	if f.Type == "enumeration" {
		a.Set("LIST", optionsJSON(f.User, false, func(name string) string { return name }))
	}
	return a
}

// legacyUserFields are the methods crm.deal.userfield.* and their like.
type legacyUserFields struct{ legacyEntity }

// legacyUserFieldOf finds the field that a call of crm.deal.userfield.* and the
// like names.
func (e legacyUserFields) find(c *rest.Call) (*model.EntityType, *model.Field, error) {
	id := value.Int(c.Param("ID"))
	if id <= 0 {
		return nil, nil, rest.FailText("ID is not defined or invalid.")
	}
	if !c.IsAdmin() {
		return nil, nil, rest.FailText("Access denied.")
	}
	t, f := c.Store.UserFieldByID(id)
	if f == nil || t.ID != e.typ {
		return nil, nil, rest.Fail("ERROR_NOT_FOUND", "The entity with ID '"+strconv.FormatInt(id, 10)+"' is not found")
	}
	return t, f, nil
}

func (e legacyUserFields) get(c *rest.Call) (any, error) {
	t, f, err := e.find(c)
	if err != nil {
		return nil, err
	}
	return legacyUserField(c.Store, t, f, ""), nil
}

// list is crm.deal.userfield.list and the like. Labels come only for a
// language that the filter names as LANG.
func (e legacyUserFields) list(c *rest.Call) (any, error) {
	filter, order, err := c.LegacyConditions()
	if err != nil {
		return nil, err
	}
	s := c.Store
	r := query.Rules[userFieldRow]{Find: userFieldColumn, Zone: s.Zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(userFieldRows(s.Types[e.typ]), pass)
	query.Sort(found, query.LenientOrder(order, userFieldColumn))
	language, _ := filter.Get("LANG")
	answer := php.NewArray()
	for _, x := range found {
		row := legacyUserField(s, x.typ, x.field, cmp.Or(value.Text(language), "-"))
		if value.IsEmpty(language) {
			for _, name := range userLabels {
				row.Delete(name)
			}
		}
		answer.Append(row)
	}
	c.Total, c.HasTotal = len(found), true
	return answer, nil
}

// add is crm.deal.userfield.add and the like. UF_CRM_ is put before the
// name, unless it is there. Its result is the id, a number.
func (e legacyUserFields) add(c *rest.Call) (any, error) {
	fields, ok := value.Array(c.Param("FIELDS"))
	if !ok {
		return nil, rest.NoArray("fields")
	}
	g := value.UpperFields(fields)
	name := strings.ToUpper(value.Text(g["FIELD_NAME"]))
	typ := value.Text(g["USER_TYPE_ID"])
	t := c.Store.Types[e.typ]
	full := "UF_CRM_" + strings.TrimPrefix(strings.TrimPrefix(name, "UF_"), "CRM_")
	twice, unique := uniqueXMLIDs(g["LIST"])
	switch {
	case !c.IsAdmin():
		return nil, rest.FailText("Access denied.")
	case name == "":
		return nil, rest.FailText("The 'FIELD_NAME' field is not found.")
	case typ == "":
		return nil, rest.FailText("The 'USER_TYPE_ID' field is not found.")
	case checkFieldName(full) != "":
		return nil, rest.Fail("ERROR_CORE", checkFieldName(full))
	case !model.IsUserFieldType(typ):
		return nil, rest.Fail("ERROR_CORE", "Incorrect custom type specified.")
	case !unique:
		return nil, rest.Fail("ERROR_CORE", "List item with value XML_ID="+twice+" already exists.")
	case t.Fields.ByName[full] != nil:
		return nil, rest.Fail("ERROR_CORE", fmt.Sprintf("Field %s for entity %s already exists.", full, t.UserEntity()))
	}
	return value.FromInt(addUserField(c, t, full, g, g["LIST"]).User.ID), nil
}

func (e legacyUserFields) update(c *rest.Call) (any, error) {
	t, f, err := e.find(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.Param("FIELDS"))
	if !ok {
		return nil, rest.NoArray("fields")
	}
	g := value.UpperFields(fields)
	choices, hasChoices := g["LIST"]
	if twice, unique := uniqueXMLIDs(choices); !unique {
		return nil, rest.Fail("ERROR_CORE", "List item with XML_ID='"+twice+"' already exists")
	}
	updateUserField(c, t, f, g, choices, hasChoices, false)
	return true, nil
}

func (e legacyUserFields) remove(c *rest.Call) (any, error) {
	t, f, err := e.find(c)
	if err != nil {
		return nil, err
	}
	c.Store.DropUserField(t, f)
	fireUserField(c, t, f, rest.OpDelete)
	return true, nil
}
