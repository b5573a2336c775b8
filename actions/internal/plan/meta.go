package plan

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// LoadItemSchema reads the fields of a CRM type. The client caches the answer.
func LoadItemSchema(ctx context.Context, c *engine.Call, typ int) (*ItemSchema, error) {
	meta, err := c.Portal.ItemFields(ctx, typ)
	if err != nil {
		return nil, err
	}
	return ItemSchemaOf(typ, meta, c.Zone), nil
}

// ItemSchemaOf returns the schema for a description of a type.
func ItemSchemaOf(typ int, meta *bitrix.ItemFields, zone *time.Location) *ItemSchema {
	s := &ItemSchema{Type: typ, byName: map[string]*value.Field{}}
	stored := map[string]*value.Field{}
	for _, name := range meta.Names() {
		m, _ := meta.Lookup(name)
		f := &value.Field{
			Name: name, Title: m.Title, Kind: ItemKind(m.Type), Multiple: m.Multiple, ReadOnly: m.ReadOnly,
			Custom: m.Dynamic, ZeroIsEmpty: true, Places: itemPlaces(m), Choices: m.Enum, Zone: zone,
			Unordered: isUnordered(m), IDs: holdsIDs(m.Type),
		}
		s.fields = append(s.fields, f)
		s.byName[name] = f
		stored[m.UpperName] = f
	}
	for name, f := range stored {
		if s.byName[name] == nil && name != "" {
			s.byName[name] = f
		}
	}
	return s
}

// ItemKind maps the types of crm.item.fields. Ids are texts, because texts and
// numbers compare as equal.
func ItemKind(typ string) value.Kind {
	switch typ {
	case "integer", "double":
		return value.KindNumber
	case "boolean":
		return value.KindFlag
	case "date":
		return value.KindDay
	case "datetime":
		return value.KindDateTime
	case "money":
		return value.KindMoney
	case "enumeration":
		return value.KindChoice
	case "file":
		return value.KindFile
	case "crm_multifield":
		return value.KindMultifields
	}
	return value.KindText
}

// holdsIDs reports a field of an item that holds ids of items or users. A field of the type crm
// may hold C_5.
func holdsIDs(typ string) bool {
	switch typ {
	case "user", "employee", "crm_company", "crm_contact", "crm_lead", "crm_deal", "crm_quote", "crm_entity", "crm_category":
		return true
	}
	return false
}

// itemPlaces is the number of digits after the point of a field. The amounts of an
// item have two. The settings of a custom field name its digits.
func itemPlaces(m bitrix.ItemField) int {
	switch {
	case m.Name == "opportunity" || m.Name == "taxValue":
		return 2
	case m.Type == "integer":
		return 0
	case m.Type == "double" && m.Precision >= 0:
		return m.Precision
	}
	return value.UnknownPlaces
}

// ListSchemaOf returns the schema for a description of a list.
func ListSchemaOf(meta *bitrix.ListFields, zone *time.Location) *ListSchema {
	all := meta.All()
	fields := make([]*value.Field, 0, len(all))
	for _, m := range all {
		length := 0
		if m.ID == "NAME" {
			length = nameLength
		}
		fields = append(fields, &value.Field{
			Name: m.ID, Length: length, Code: m.Code, Title: m.Name, Kind: listKind(m.Type), Multiple: m.Multiple,
			Reference: isReference(m.Type), Unordered: m.Multiple && (m.Type == "L" || isReference(m.Type)),
			Drive: m.Type == "S:DiskFile", Sequence: m.Type == "N:Sequence", Places: value.UnknownPlaces, Choices: m.Enum, Zone: zone,
		})
	}
	return newListSchema(fields)
}

// nameLength is the length of the column with the names of elements. The database
// silently cuts a longer name, which would then differ in every run.
const nameLength = 255

// listKind maps the types of lists.field.get.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-type-get.html
func listKind(typ string) value.Kind {
	switch typ {
	case "N", "N:Sequence", "SORT":
		return value.KindNumber
	case "L":
		return value.KindChoice
	case "F", "S:DiskFile", "PREVIEW_PICTURE", "DETAIL_PICTURE":
		return value.KindFile
	case "S:Date":
		return value.KindDay
	case "S:DateTime", "ACTIVE_FROM", "ACTIVE_TO", "DATE_CREATE", "TIMESTAMP_X":
		return value.KindDateTime
	case "S:Money":
		return value.KindMoney
	case "S:HTML":
		return value.KindHTML
	}
	return value.KindText
}

// isReference reports a property of a list that holds ids of other records.
func isReference(typ string) bool {
	switch typ {
	case "E", "G", "E:EList", "S:employee":
		return true
	}
	return false
}

// isUnordered reports a field of an item whose values are a set. contactIds is not
// a set, because its first value is the main contact.
func isUnordered(m bitrix.ItemField) bool {
	switch m.Type {
	case "enumeration", "employee", "iblock_element", "iblock_section", "crm":
		return m.Multiple
	}
	return m.Multiple && m.Name == "observers"
}

// holdsFiles reports whether an element has files, which cannot be copied to
// another element.
func (s *ListSchema) holdsFiles(e *Record) bool {
	for _, f := range s.fields {
		if f.Kind == value.KindFile && !f.Empty(e.Values[f.Name]) {
			return true
		}
	}
	return false
}
