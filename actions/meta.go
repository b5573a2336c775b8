package actions

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// loadItemSchema learns the fields of a CRM type. The client keeps the answer
// for a while.
func loadItemSchema(ctx context.Context, c *engine.Call, typ int) (*itemSchema, error) {
	meta, err := c.Portal.ItemFields(ctx, typ)
	if err != nil {
		return nil, err
	}
	return newItemSchema(typ, meta, c.Zone), nil
}

func newItemSchema(typ int, meta *bitrix.ItemFields, zone *time.Location) *itemSchema {
	s := &itemSchema{typ: typ, byName: map[string]*field{}}
	stored := map[string]*field{}
	for _, name := range meta.Names() {
		m, _ := meta.Lookup(name)
		f := &field{
			name: name, title: m.Title, kind: itemKind(m.Type), multiple: m.Multiple, readOnly: m.ReadOnly,
			custom: m.Dynamic, zeroIsEmpty: true, places: itemPlaces(m), choices: m.Enum, zone: zone,
			unordered: isUnordered(m),
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

// itemKind maps the types of crm.item.fields. Ids compare as texts do, for text
// and number are the same there.
func itemKind(typ string) kind {
	switch typ {
	case "integer", "double":
		return kindNumber
	case "boolean":
		return kindFlag
	case "date":
		return kindDay
	case "datetime":
		return kindMoment
	case "money":
		return kindMoney
	case "enumeration":
		return kindChoice
	case "file":
		return kindFile
	}
	return kindText
}

// itemPlaces is how many digits after the point a field keeps. The amounts of an
// item are columns with two; people's fields say it in their settings.
func itemPlaces(m bitrix.ItemField) int {
	switch {
	case m.Name == "opportunity" || m.Name == "taxValue":
		return 2
	case m.Type == "integer":
		return 0
	case m.Type == "double" && m.Precision >= 0:
		return m.Precision
	}
	return unknownPlaces
}

// loadListSchema learns the fields of a universal list.
func loadListSchema(ctx context.Context, c *engine.Call, typ string, id int) (*listSchema, error) {
	meta, err := c.Portal.ListFields(ctx, typ, id)
	if err != nil {
		return nil, err
	}
	all := meta.All()
	fields := make([]*field, 0, len(all))
	for _, m := range all {
		length := 0
		if m.ID == "NAME" {
			length = nameLength
		}
		fields = append(fields, &field{
			name: m.ID, length: length, code: m.Code, title: m.Name, kind: listKind(m.Type), multiple: m.Multiple,
			reference: isReference(m.Type), unordered: m.Multiple && (m.Type == "L" || isReference(m.Type)),
			drive: m.Type == "S:DiskFile", places: unknownPlaces, choices: m.Enum, zone: c.Zone,
		})
	}
	return newListSchema(fields), nil
}

// nameLength is how long the column is that holds the names of elements. What is
// longer is cut by the database without a word, and would be found different in
// every run.
const nameLength = 255

// listKind maps the types of lists.field.get.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-type-get.html
func listKind(typ string) kind {
	switch typ {
	case "N", "N:Sequence", "SORT":
		return kindNumber
	case "L":
		return kindChoice
	case "F", "S:DiskFile", "PREVIEW_PICTURE", "DETAIL_PICTURE":
		return kindFile
	case "S:Date":
		return kindDay
	case "S:DateTime", "ACTIVE_FROM", "ACTIVE_TO", "DATE_CREATE", "TIMESTAMP_X":
		return kindMoment
	case "S:Money":
		return kindMoney
	case "S:HTML":
		return kindHTML
	}
	return kindText
}

// isReference reports a property of a list that holds the ids of other things.
func isReference(typ string) bool {
	switch typ {
	case "E", "G", "E:EList", "S:employee":
		return true
	}
	return false
}

// isUnordered reports a field of an item whose values are a set. contactIds is
// none: its first value is the main contact.
func isUnordered(m bitrix.ItemField) bool {
	switch m.Type {
	case "enumeration", "employee", "iblock_element", "iblock_section", "crm":
		return m.Multiple
	}
	return m.Multiple && m.Name == "observers"
}

// holdsDriveFiles reports whether an element has files that only the element
// itself can keep.
func (s *listSchema) holdsDriveFiles(e *Record) bool {
	for _, f := range s.fields {
		if values, _ := e.Values[f.name].([]any); f.drive && len(values) > 0 {
			return true
		}
	}
	return false
}
