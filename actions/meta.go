package actions

import (
	"context"

	"b24rules/bitrix"
	"b24rules/engine"
)

// loadItemSchema learns the fields of a CRM type. The client keeps the answer
// for a while.
func loadItemSchema(ctx context.Context, c *engine.Call, typ int) (*itemSchema, error) {
	meta, err := c.Portal.ItemFields(ctx, typ)
	if err != nil {
		return nil, err
	}
	return newItemSchema(typ, meta), nil
}

func newItemSchema(typ int, meta *bitrix.ItemFields) *itemSchema {
	s := &itemSchema{typ: typ, byName: map[string]*field{}}
	for _, m := range meta.Fields {
		f := &field{
			name: m.Name, title: m.Title, kind: itemKind(m.Type), multiple: m.Multiple, readOnly: m.ReadOnly,
			custom: m.Dynamic, zeroIsEmpty: true, places: itemPlaces(m),
		}
		s.fields = append(s.fields, f)
		s.byName[m.Name] = f
	}
	for i, m := range meta.Fields {
		if s.byName[m.UpperName] == nil {
			s.byName[m.UpperName] = s.fields[i]
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
	case "file":
		return kindFile
	}
	return kindText
}

func itemPlaces(m bitrix.ItemField) int { return unknownPlaces }

// loadListSchema learns the fields of a universal list.
func loadListSchema(ctx context.Context, c *engine.Call, typ string, id int) (*listSchema, error) {
	meta, err := c.Portal.ListFields(ctx, typ, id)
	if err != nil {
		return nil, err
	}
	fields := make([]*field, 0, len(meta.Fields))
	for _, m := range meta.Fields {
		fields = append(fields, &field{
			name: m.ID, code: m.Code, title: m.Name, kind: listKind(m.Type), multiple: m.Multiple,
			reference: isReference(m.Type), places: unknownPlaces, choices: m.Values,
		})
	}
	return newListSchema(fields), nil
}

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

// isReference reports a property that holds the ids of other things.
func isReference(typ string) bool {
	switch typ {
	case "E", "G", "E:EList", "S:employee":
		return true
	}
	return false
}
