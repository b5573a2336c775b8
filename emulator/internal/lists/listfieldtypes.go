package lists

import (
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func isPropertyType(typ string) bool {
	switch typ {
	case "S", "N", "L", "F", "G", "E", "S:Date", "S:DateTime", "S:HTML", "E:EList", "N:Sequence", "S:ECrm", "S:Money",
		"S:DiskFile", "S:employee":
		return true
	}
	return false
}

// linksList reports whether properties of a type link to a list.
func linksList(typ string) bool { return typ == "G" || typ == "E" || typ == "E:EList" }

// listFieldTypes is lists.field.type.get: what can be added to a list. A system
// field that it has already is not among them, unless FIELD_ID names it.
// https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-type-get.html
func listFieldTypes(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	asked := strings.ToUpper(value.Text(c.Param("FIELD_ID")))
	answer := php.NewArray()
	for _, t := range [...]struct{ typ, title string }{
		{"SORT", "Sorting"},
		{"ACTIVE_FROM", "Start of activity"},
		{"ACTIVE_TO", "End of activity"},
		{"PREVIEW_PICTURE", "Preview image"},
		{"PREVIEW_TEXT", "Preview text"},
		{"DETAIL_PICTURE", "Detail image"},
		{"DETAIL_TEXT", "Detail text"},
		{"DATE_CREATE", "Creation date"},
		{"CREATED_BY", "Created by"},
		{"TIMESTAMP_X", "Modification date"},
		{"MODIFIED_BY", "Modified by"},
		{"S", "String"},
		{"N", "Number"},
		{"L", "List"},
		{"F", "File"},
		{"G", "Binding to sections"},
		{"E", "Binding to elements"},
		{"S:Date", "Date"},
		{"S:DateTime", "Date/time"},
		{"S:HTML", "HTML/text"},
		{"E:EList", "Binding to elements as a list"},
		{"N:Sequence", "Counter"},
		{"S:ECrm", "Binding to CRM elements"},
		{"S:Money", "Money"},
		{"S:DiskFile", "File (Drive)"},
		{"S:employee", "Binding to an employee"},
	} {
		if b.Field(t.typ) == nil || t.typ == asked {
			answer.Set(t.typ, t.title)
		}
	}
	return answer, nil
}
