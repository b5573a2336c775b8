package model

import (
	"cmp"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// UserField is a custom field of a type of item.
type UserField struct {
	// Name is the stored name, UF_CRM_5_TOTAL.
	Name string
	// Type is string, integer, double, boolean, enumeration, date, datetime,
	// money, url, employee, crm or crm_status. Empty is string.
	Type string
	// Title is the label. Empty is the name.
	Title string
	// Multiple fields hold lists.
	Multiple bool
	// Required fields must be filled in the portal's forms. The REST API does
	// not ask for them, as portals are set up by default.
	Required bool
	// Precision is how many digits after the point a double keeps. 0 is 4.
	Precision int
	// Options are the texts of an enumeration. The portal gives them ids, unless OptionIDs
	// has them.
	Options   []string
	OptionIDs []int64
}

// CustomField is a custom field as the portal keeps it.
type CustomField struct {
	UserField
	Choices []Option
	ID      int64
	Sort    int64
	XMLID   any // text, or nil
	// Switches are SHOW_FILTER and the like, where they are not the default.
	Switches map[string]string
	Settings *php.Array
	Labels   map[string]map[string]string // EDIT_FORM_LABEL and the like, by language
}

// NewCustomField completes a custom field's definition.
func (s *Store) NewCustomField(def UserField) *Field {
	u := &CustomField{UserField: def}
	u.Type, u.Title = cmp.Or(u.Type, "string"), cmp.Or(u.Title, u.Name)
	if u.Type == "double" && u.Precision == 0 {
		u.Precision = 4
	}
	u.ID, u.Sort = s.Next("userField"), 100
	u.Switches, u.Labels = map[string]string{}, map[string]map[string]string{}
	u.Settings = userSettings(u.Type)
	if u.Type == "double" {
		u.Settings.Set("PRECISION", value.FromInt(int64(u.Precision)))
	}
	for i, text := range u.Options {
		o := s.NewOption(text, int64(i+1)*10)
		if i < len(u.OptionIDs) {
			o.ID = u.OptionIDs[i]
			s.Reserve("userOption", o.ID)
		}
		u.Choices = append(u.Choices, o)
	}
	f := &Field{Name: strings.ToUpper(u.Name), Type: u.Type, Title: u.Title, User: u}
	if u.Multiple {
		f.Flags |= Multiple
	}
	if u.Required {
		f.Flags |= Required
	}
	return f
}

func (s *Store) NewOption(v string, sort int64) Option {
	id := s.Next("userOption")
	return Option{ID: id, Value: v, Sort: sort, XMLID: value.DeriveHex(v, value.Text(value.FromInt(id)), 32)}
}

// UserEntity is what custom fields call a type: CRM_DEAL, or CRM_5 by the own id
// of a smart process.
func (t *EntityType) UserEntity() string {
	if t.Dynamic != nil {
		return "CRM_" + value.Text(value.FromInt(int64(t.Dynamic.ID)))
	}
	return "CRM_" + t.Code
}

// userSettings are the settings of a new custom field of a type.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-add.html
func userSettings(typ string) *php.Array {
	switch typ {
	case "string":
		return value.Object("SIZE", 20, "ROWS", 1, "REGEXP", "", "MIN_LENGTH", 0, "MAX_LENGTH", 0, "DEFAULT_VALUE", "")
	case "integer":
		return value.Object("SIZE", 20, "MIN_VALUE", 0, "MAX_VALUE", 0, "DEFAULT_VALUE", nil)
	case "double":
		return value.Object("PRECISION", 4, "SIZE", 20, "MIN_VALUE", 0, "MAX_VALUE", 0, "DEFAULT_VALUE", nil)
	case "enumeration":
		return value.Object("DISPLAY", "LIST", "LIST_HEIGHT", 1, "CAPTION_NO_VALUE", "", "SHOW_NO_VALUE", "Y")
	case "date", "datetime":
		return value.Object("DEFAULT_VALUE", value.Object("TYPE", "NONE", "VALUE", ""))
	case "url":
		return value.Object("POPUP", "Y", "SIZE", 20, "MIN_LENGTH", 0, "MAX_LENGTH", 0, "DEFAULT_VALUE", "", "ROWS", 1)
	case "file":
		return value.Object("SIZE", 20, "LIST_WIDTH", 0, "LIST_HEIGHT", 0, "MAX_SHOW_SIZE", 0, "MAX_ALLOWED_SIZE", 0,
			"EXTENSIONS", php.NewArray(), "TARGET_BLANK", "Y")
	case "money":
		return value.Object("DEFAULT_VALUE", "")
	case "boolean":
		return value.Object("DEFAULT_VALUE", 0, "DISPLAY", "CHECKBOX", "LABEL", php.List("", ""), "LABEL_CHECKBOX", php.NewArray())
	}
	return php.NewArray()
}

// UserFieldTypes are the types of custom fields, in the order of
// userfieldconfig.getTypes.
func UserFieldTypes() [][2]string {
	return [][2]string{
		{"crm", "Link to CRM items"},
		{"crm_status", "Link to CRM directories"},
		{"money", "Money"},
		{"employee", "Link to an employee"},
		{"string", "String"},
		{"integer", "Integer"},
		{"double", "Number"},
		{"datetime", "Date and time"},
		{"date", "Date"},
		{"boolean", "Yes/No"},
		{"address", "Address"},
		{"url", "Link"},
		{"file", "File"},
		{"enumeration", "List"},
		{"iblock_section", "Link to sections of a list"},
		{"iblock_element", "Link to elements of a list"},
	}
}

func IsUserFieldType(typ string) bool {
	for _, t := range UserFieldTypes() {
		if t[0] == typ {
			return true
		}
	}
	return false
}

// UserFieldByID finds a custom field of any type.
func (s *Store) UserFieldByID(id int64) (*EntityType, *Field) {
	for _, t := range s.Types {
		for _, f := range t.Fields.All {
			if f.User != nil && f.User.ID == id {
				return t, f
			}
		}
	}
	return nil, nil
}

// DropUserField takes a custom field away, and its values.
func (s *Store) DropUserField(t *EntityType, f *Field) {
	t.Fields.remove(f.Name)
	for _, it := range s.Table(t.ID).ByID {
		if _, ok := it.Values[f.Name]; ok {
			v := it.Working()
			delete(v, f.Name)
			it.Values = v
		}
	}
}
