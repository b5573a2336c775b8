package crm

import (
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// naming is how a call of crm.item.* names fields: the custom ones as stored
// with useOriginalUfNames=Y.
type naming struct{ original bool }

func (n naming) name(f *model.Field) string {
	if f.User != nil && n.original {
		return f.Name
	}
	return f.Camel
}

// lookup finds a field by the name in a call. System fields are found by their
// stored names too, since the portal converts what it gets before it looks.
func (n naming) lookup(s *model.FieldSet, name string) *model.Field {
	if f := s.ByCamel[name]; f != nil && (f.User == nil || !n.original) {
		return f
	}
	if f := s.ByName[name]; f != nil && !f.Has(model.LegacyOnly) && (f.User == nil || n.original) {
		return f
	}
	return nil
}

// describeField is a field's entry in the answers of the methods fields.
func describeField(f *model.Field, t *model.EntityType) *php.Array {
	d := value.Object(
		"type", f.Type,
		"isRequired", f.Has(model.Required),
		"isReadOnly", f.Has(model.ReadOnly|model.Disabled),
		"isImmutable", f.Has(model.Immutable),
		"isMultiple", f.Has(model.Multiple),
		"isDynamic", f.User != nil,
	)
	if f.Status != "" {
		d.Set("statusType", t.StatusDirectory(f.Status))
	}
	if f.Has(model.Deprecated) {
		d.Set("isDeprecated", true)
	}
	d.Set("title", f.Title)
	switch {
	case f.Parent == 0:
	case f.Name == "MYCOMPANY_ID":
		d.Set("settings", value.Object("isMyCompany", true, "parentEntityTypeId", f.Parent, "isEmbeddedEditorEnabled", true))
	default:
		d.Set("settings", value.Object("parentEntityTypeId", f.Parent))
	}
	if f.User != nil {
		describeUserField(f.User, d)
	}
	return d
}

// describeUserField adds what the descriptions of custom fields have in addition to the others.
func describeUserField(u *model.CustomField, d *php.Array) {
	if len(u.Choices) > 0 {
		items := php.NewArray()
		for _, o := range u.Choices {
			items.Append(value.Object("ID", value.Text(value.FromInt(o.ID)), "VALUE", o.Value))
		}
		d.Set("items", items)
	}
	d.Set("settings", u.Settings)
	d.Set("listLabel", u.Title)
	d.Set("formLabel", u.Title)
	d.Set("filterLabel", u.Title)
}

func hasOption(u *model.CustomField, id int64) bool {
	for _, o := range u.Choices {
		if o.ID == id {
			return true
		}
	}
	return false
}
