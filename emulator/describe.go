package emulator

import (
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// naming is how a call of crm.item.* names fields: the custom ones as stored
// with useOriginalUfNames=Y.
type naming struct{ original bool }

func (n naming) name(f *field) string {
	if f.user != nil && n.original {
		return f.name
	}
	return f.camel
}

// lookup finds a field by the name in a call. System fields are found by their
// stored names too, since the portal converts what it gets before it looks.
func (n naming) lookup(s *fieldSet, name string) *field {
	if f := s.byCamel[name]; f != nil && (f.user == nil || !n.original) {
		return f
	}
	if f := s.byName[name]; f != nil && !f.has(itemless) && (f.user == nil || n.original) {
		return f
	}
	return nil
}

// describeField is a field's entry in the answers of the methods fields.
func describeField(f *field, t *entityType) *php.Array {
	d := value.Object(
		"type", f.typ,
		"isRequired", f.has(required),
		"isReadOnly", f.has(readOnly|disabled),
		"isImmutable", f.has(immutable),
		"isMultiple", f.has(multiple),
		"isDynamic", f.user != nil,
	)
	if f.status != "" {
		d.Set("statusType", t.statusDirectory(f.status))
	}
	if f.has(deprecated) {
		d.Set("isDeprecated", true)
	}
	d.Set("title", f.title)
	switch {
	case f.parent == 0:
	case f.name == "MYCOMPANY_ID":
		d.Set("settings", value.Object("isMyCompany", true, "parentEntityTypeId", f.parent, "isEmbeddedEditorEnabled", true))
	default:
		d.Set("settings", value.Object("parentEntityTypeId", f.parent))
	}
	if f.user != nil {
		describeUserField(f.user, d)
	}
	return d
}

// describeUserField adds what the descriptions of custom fields have beside the others.
func describeUserField(u *customField, d *php.Array) {
	if len(u.options) > 0 {
		items := php.NewArray()
		for _, o := range u.options {
			items.Append(value.Object("ID", value.Text(value.FromInt(o.id)), "VALUE", o.value))
		}
		d.Set("items", items)
	}
	d.Set("settings", u.settings)
	d.Set("listLabel", u.Title)
	d.Set("formLabel", u.Title)
	d.Set("filterLabel", u.Title)
}

func hasOption(u *customField, id int64) bool {
	for _, o := range u.options {
		if o.id == id {
			return true
		}
	}
	return false
}
