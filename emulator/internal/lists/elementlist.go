package lists

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

// elementGet is lists.element.get: always a list, [] where nothing is found.
func elementGet(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	filter, _ := c.OptionalArray("FILTER")
	rules := elementRules(c, b)
	pass, err := rules.Compile(filter)
	if err != nil {
		return nil, err
	}
	order, _ := c.OptionalArray("ELEMENT_ORDER")
	keys := elementOrder(c.Store, b, order)
	id, code := c.Param("ELEMENT_ID"), c.Param("ELEMENT_CODE")
	limit := -1 // of rows that are needed
	if c.Start < 0 && len(keys) == 0 {
		limit = rest.PageSize
	}
	var rows []*model.Element
	for _, e := range candidates(b, filter, rules, id, code) {
		if (value.IsEmpty(id) || slices.ContainsFunc(value.List(id), func(v any) bool { return value.Int(v) == e.ID })) &&
			(value.IsEmpty(code) || model.SameCode(e.Code, value.Text(code))) && pass(e) {
			rows = append(rows, e)
		}
		if len(rows) == limit {
			break
		}
	}
	query.Sort(rows, keys)
	answer := php.NewArray()
	if len(rows) == 0 {
		return answer, nil // and no total
	}
	only := c.Selection()
	for _, e := range rest.Page(c, rows) {
		answer.Append(elementJSON(c, b, e, only))
	}
	return answer, nil
}

// candidates returns elements in the order of their ids, among them all that a call can
// find: by id, by code, by the value of a property, or by the ids after one.
func candidates(b *model.IBlock, filter *php.Array, rules *query.Rules[*model.Element], id, code any) []*model.Element {
	if !value.IsEmpty(id) {
		return withIDs(b, value.List(id))
	}
	if !value.IsEmpty(code) {
		return b.Elements.ByCode(value.Text(code))
	}
	for key, v := range filter.All() {
		name, values, ok := rules.Equal(key, v)
		switch {
		case strings.EqualFold(key, ">ID"):
			return b.Elements.After(value.Int(v))
		case !ok:
		case name == "ID":
			return withIDs(b, value.List(v))
		default:
			if f := b.Field(name); f != nil && f.IsProperty() {
				return b.Elements.With(f.ID, values)
			}
		}
	}
	return b.Elements.All()
}

// withIDs returns the elements with these ids in the order of their ids.
func withIDs(b *model.IBlock, ids []any) []*model.Element {
	var found []*model.Element
	for _, v := range ids {
		if e := b.Elements.Get(value.Int(v)); e != nil {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *model.Element) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(found)
}

// elementJSON is an element as lists.element.get shows it: all values are text.
func elementJSON(c *rest.Call, b *model.IBlock, e *model.Element, only map[string]bool) *php.Array {
	a := php.NewArray()
	set := func(name string, v any) {
		if only == nil || only[name] {
			a.Set(name, v)
		}
	}
	set("ID", value.Text(value.FromInt(e.ID)))
	set("IBLOCK_ID", value.Text(value.FromInt(b.ID)))
	set("NAME", e.System["NAME"])
	var section any
	if e.Section != 0 {
		section = value.Text(value.FromInt(e.Section))
	}
	set("IBLOCK_SECTION_ID", section)
	set("CREATED_BY", value.Text(value.FromInt(e.Creator)))
	set("BP_PUBLISHED", "Y")
	set("CODE", value.TextOrNull(e.Code))
	for _, f := range b.Fields {
		if f.IsProperty() || f.Name == "NAME" || f.Name == "CREATED_BY" {
			continue
		}
		set(f.Name, systemJSON(c, e, f.Name))
	}
	for _, name := range selectable {
		if only[name] && b.Field(name) == nil {
			a.Set(name, systemJSON(c, e, name))
		}
	}
	propertiesJSON(c.Store, a, b, e, only)
	return a
}

// selectable are the system fields that SELECT brings even where the list does not
// show them.
// https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-get.html
var selectable = [...]string{
	"CREATED_USER_NAME", "ACTIVE_TO", "DATE_CREATE", "PREVIEW_TEXT", "DETAIL_TEXT", "SORT", "PREVIEW_TEXT_TYPE", "DETAIL_TEXT_TYPE",
}

// systemJSON is a system field as lists.element.get shows it.
func systemJSON(c *rest.Call, e *model.Element, name string) any {
	switch name {
	case "CREATED_USER_NAME":
		return c.UserName(e.Creator)
	case "ACTIVE_FROM", "ACTIVE_TO":
		return value.TextOrNull(relayout(c.Store.Zone, e.System[name], c.Store.Zone.Local))
	case "SORT":
		return e.Sort()
	case "PREVIEW_TEXT_TYPE", "DETAIL_TEXT_TYPE":
		return textFormat
	case "DATE_CREATE":
		return c.Store.Zone.Local(e.Created)
	case "TIMESTAMP_X":
		return c.Store.Zone.Local(e.Changed)
	case "MODIFIED_BY":
		return value.Text(value.FromInt(e.Modifier))
	}
	return value.TextOrNull(e.System[name])
}

// textFormat is what the texts of an element are: no HTML.
const textFormat = "text"

// elementPrefixes are the prefixes that the documentation and the server's source
// allow, without those that want a list of values.
var elementPrefixes = [...]string{
	"", "!%", ">=", "><", "!><", ">", "<=", "<", "%", "=", "*", "!=", "!", "=%", "%=", "!=%", "!%=",
}

// elementRules are those of a filter of lists.element.get: unlike
// crm.deal.list it refuses what it does not know.
func elementRules(c *rest.Call, b *model.IBlock) *query.Rules[*model.Element] {
	s := c.Store
	single := c.Options.SingleOwner
	return &query.Rules[*model.Element]{
		Find: func(name string) (query.Column[*model.Element], bool) { return elementColumn(s, b, name) },
		Unknown: func(name string) error {
			return rest.WrongFilter("Filter field not allowed: " + strings.ToUpper(name))
		},
		Prefix: func(prefix, _ string) error {
			if !single || slices.Contains(elementPrefixes[:], prefix) {
				return nil
			}
			return rest.WrongFilter("Filter operation not allowed: " + prefix)
		},
		Invalid: func(name string) error {
			return rest.WrongFilter(fmt.Sprintf("Filter value not allowed: %s", strings.ToUpper(name)))
		},
		Zone:   s.Zone,
		Scalar: single,
		Masks:  true,
	}
}

// elementColumn finds what a filter or an order names: a system field, or a
// property by its id or its code. The code of an element cannot be filtered by.
func elementColumn(s *model.Store, b *model.IBlock, name string) (query.Column[*model.Element], bool) {
	name = strings.ToUpper(name)
	col := query.Column[*model.Element]{Name: name}
	switch name {
	case "ID":
		col.Kind, col.Get = query.Int, func(e *model.Element) any { return e.ID }
	case "NAME", "PREVIEW_TEXT", "DETAIL_TEXT":
		col.Get = func(e *model.Element) any { return e.System[name] }
	case "PREVIEW_TEXT_TYPE", "DETAIL_TEXT_TYPE":
		col.Get = func(*model.Element) any { return textFormat }
	case "SORT":
		col.Kind, col.Get = query.Int, func(e *model.Element) any { return value.Int(e.Sort()) }
	case "ACTIVE_FROM", "ACTIVE_TO":
		col.Kind, col.Get = query.Time, func(e *model.Element) any { return s.Zone.DateTime(e.System[name]) }
	case "ACTIVE", "BP_PUBLISHED":
		col.Get = func(*model.Element) any { return "Y" }
	case "SECTION_ID", "IBLOCK_SECTION_ID":
		col.Kind, col.Get = query.Int, func(e *model.Element) any { return e.Section }
	case "CREATED_BY", "CREATED_USER_ID":
		col.Kind, col.Get = query.Int, func(e *model.Element) any { return e.Creator }
	case "MODIFIED_BY", "MODIFIED_USER_ID":
		col.Kind, col.Get = query.Int, func(e *model.Element) any { return e.Modifier }
	case "DATE_CREATE":
		col.Kind, col.Get = query.Time, func(e *model.Element) any { return e.Created }
	case "TIMESTAMP_X":
		col.Kind, col.Get = query.Time, func(e *model.Element) any { return e.Changed }
	default:
		f := b.Field(name)
		if code, ok := strings.CutPrefix(name, "PROPERTY_"); ok && f == nil {
			f = b.FieldByCode(code)
		}
		switch {
		case f == nil:
			return col, false
		case f.IsProperty():
			return propertyColumn(f), true
		}
		col.Get = func(e *model.Element) any { return e.System[name] }
	}
	return col, true
}

func propertyColumn(f *model.IBlockField) query.Column[*model.Element] {
	return query.Column[*model.Element]{Name: f.Name, Kind: model.PropertyKind(f.Type), Get: func(e *model.Element) any {
		switch values := e.Properties[f.ID]; len(values) {
		case 0:
			return nil
		case 1:
			return values[0].Value
		default:
			several := make([]any, len(values))
			for i, v := range values {
				several[i] = v.Value
			}
			return several
		}
	}}
}

// elementOrder reads ELEMENT_ORDER. Multiple properties and some types cannot
// be ordered by; they are ignored.
func elementOrder(s *model.Store, b *model.IBlock, order *php.Array) []query.SortKey[*model.Element] {
	var keys []query.SortKey[*model.Element]
	for name, v := range order.All() {
		direction := strings.ToLower(value.Text(v))
		direction = strings.TrimPrefix(strings.TrimSuffix(direction, ",nulls"), "nulls,")
		f := b.Field(strings.ToUpper(name))
		if direction != "asc" && direction != "desc" || f != nil && (f.Multiple || unsortable(f.Type)) {
			continue
		}
		if f == nil && strings.ToUpper(name) != "ID" {
			continue
		}
		if col, ok := elementColumn(s, b, name); ok {
			keys = append(keys, query.SortKey[*model.Element]{Column: col, Desc: direction == "desc"})
		}
	}
	return keys
}

func unsortable(typ string) bool {
	switch typ {
	case "S:Money", "PREVIEW_TEXT", "DETAIL_TEXT", "S:ECrm", "S:DiskFile", "IBLOCK_SECTION_ID":
		return true
	}
	return false
}
