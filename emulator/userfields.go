package emulator

import (
	"strings"

	"b24rules/bitrix/php"
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
	// Options are the texts of an enumeration; the portal gives them ids.
	Options []string

	options []option
}

// option is one choice of an enumeration or of a list's property.
type option struct {
	id    int64
	value string
	sort  int64
	def   bool
}

// describe adds what the descriptions of custom fields have beside the others.
func (u *UserField) describe(d *php.Array) {
	settings := php.NewArray()
	if u.Type == "double" {
		settings.Set("PRECISION", intValue(int64(u.Precision)))
	}
	if len(u.options) > 0 {
		items := php.NewArray()
		for _, o := range u.options {
			items.Append(object("ID", toText(intValue(o.id)), "VALUE", o.value))
		}
		d.Set("items", items)
	}
	d.Set("settings", settings)
	d.Set("listLabel", u.Title)
	d.Set("formLabel", u.Title)
	d.Set("filterLabel", u.Title)
}

func (u *UserField) hasOption(id int64) bool {
	for _, o := range u.options {
		if o.id == id {
			return true
		}
	}
	return false
}

// userField completes a custom field's definition.
func (s *store) userField(u UserField) *field {
	u.Type, u.Title = textOr(u.Type, "string"), textOr(u.Title, u.Name)
	if u.Type == "double" && u.Precision == 0 {
		u.Precision = 4
	}
	u.options = nil
	for i, text := range u.Options {
		u.options = append(u.options, option{id: s.next("userOption"), value: text, sort: int64(i+1) * 10})
	}
	f := &field{name: strings.ToUpper(u.Name), typ: u.Type, title: u.Title, user: &u}
	if u.Multiple {
		f.flags |= multiple
	}
	if u.Required {
		f.flags |= required
	}
	return f
}
