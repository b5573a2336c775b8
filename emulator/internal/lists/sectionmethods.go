package lists

import (
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// sectionColumns are the fields of a section in the order of the documented
// answer. Filters compare what they show.
// https://apidocs.bitrix24.com/api-reference/lists/sections/lists-section-get.html
func sectionColumns(b *model.IBlock) []query.Column[*model.Section] {
	number := func(name string, get func(*model.Section) int64) query.Column[*model.Section] {
		return query.NewColumn(name, query.Int, func(x *model.Section) any { return get(x) })
	}
	text := func(name string, get func(*model.Section) string) query.Column[*model.Section] {
		return query.NewColumn(name, query.Text, func(x *model.Section) any { return get(x) })
	}
	dateTime := func(name string, get func(*model.Section) time.Time) query.Column[*model.Section] {
		return query.NewColumn(name, query.Time, func(x *model.Section) any { return get(x) })
	}
	return []query.Column[*model.Section]{
		number("ID", func(x *model.Section) int64 { return x.ID }),
		text("CODE", func(x *model.Section) string { return x.Code }),
		text("XML_ID", func(x *model.Section) string { return x.External }),
		text("EXTERNAL_ID", func(x *model.Section) string { return x.External }),
		query.NewColumn("IBLOCK_SECTION_ID", query.Int, func(x *model.Section) any {
			if x.Parent == 0 {
				return nil
			}
			return x.Parent
		}),
		dateTime("TIMESTAMP_X", func(x *model.Section) time.Time { return x.Changed }),
		number("SORT", func(x *model.Section) int64 { return x.Sort }),
		text("NAME", func(x *model.Section) string { return x.Name }),
		text("ACTIVE", func(x *model.Section) string { return value.YesNo(x.Active) }),
		text("GLOBAL_ACTIVE", func(x *model.Section) string { return value.YesNo(b.Shown(x)) }),
		number("LEFT_MARGIN", func(x *model.Section) int64 { left, _ := b.Margins(x); return left }),
		number("RIGHT_MARGIN", func(x *model.Section) int64 { _, right := b.Margins(x); return right }),
		number("DEPTH_LEVEL", b.Depth),
		text("SEARCHABLE_CONTENT", func(x *model.Section) string { return strings.ToUpper(x.Name) + "\r\n" }),
		number("MODIFIED_BY", func(x *model.Section) int64 { return x.Modifier }),
		dateTime("DATE_CREATE", func(x *model.Section) time.Time { return x.Created }),
		number("CREATED_BY", func(x *model.Section) int64 { return x.Creator }),
	}
}

// sectionGet is lists.section.get: all values are text.
func sectionGet(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	columns := sectionColumns(b)
	find := query.InAnyCase(query.Among(columns))
	filter, _ := c.OptionalArray("FILTER")
	s := c.Store
	r := query.Rules[*model.Section]{Find: find, Masks: true, Zone: s.Zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(b.Sections, pass)
	only := c.Selection()
	answer := php.NewArray()
	if len(found) == 0 {
		return answer, nil // and no total
	}
	for _, x := range rest.Page(c, found) {
		row := php.NewArray()
		for _, col := range columns {
			if only == nil || only[col.Name] {
				row.Set(col.Name, sectionText(c.Store, col.Get(x)))
			}
		}
		answer.Append(row)
	}
	return answer, nil
}

// sectionText is a value as lists show it.
func sectionText(s *model.Store, v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return s.Zone.Local(v)
	case string:
		return value.TextOrNull(v)
	}
	return v
}

// sectionAdd is lists.section.add. Its result is the id, a number.
func sectionAdd(c *rest.Call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if value.IsEmpty(c.Param("SECTION_CODE")) {
		return nil, rest.MissingParam("SECTION_CODE")
	}
	g := value.UpperFields(c.Param("FIELDS"))
	if value.IsEmpty(g["NAME"]) {
		return nil, rest.MissingParam("NAME")
	}
	s := c.Store
	now := c.SavedAt()
	x := &model.Section{
		Code: value.Text(c.Param("SECTION_CODE")), Parent: value.Int(c.Param("IBLOCK_SECTION_ID")), Active: true, Sort: 500,
		Created: now, Creator: c.Request.By.User,
	}
	if x.Parent != 0 && b.Section(x.Parent) == nil {
		return nil, rest.Fail("ERROR_ADD_SECTION", "The parent section was not found")
	}
	x.ID = s.Next("section")
	writeSection(c, x, g)
	b.Sections = append(b.Sections, x)
	return value.FromInt(x.ID), nil
}

// writeSection takes the fields of a section. EXTERNAL_ID and XML_ID are one,
// and the first of them wins.
func writeSection(c *rest.Call, x *model.Section, g value.Fields) {
	if v, ok := g["NAME"]; ok && !value.IsEmpty(v) {
		x.Name = value.Text(v)
	}
	for _, name := range []string{"XML_ID", "EXTERNAL_ID"} {
		if v, ok := g[name]; ok {
			x.External = value.Text(v)
		}
	}
	g.Int("SORT", &x.Sort)
	if v, ok := g["ACTIVE"]; ok {
		x.Active = v == "Y"
	}
	x.Changed, x.Modifier = c.SavedAt(), c.Request.By.User
}

// sectionOf finds the section that a call names.
func sectionOf(c *rest.Call) (*model.IBlock, *model.Section, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, nil, err
	}
	id, code := c.Param("SECTION_ID"), value.Text(c.Param("SECTION_CODE"))
	if value.IsEmpty(id) && code == "" {
		return nil, nil, rest.MissingParam("SECTION_ID")
	}
	for _, x := range b.Sections {
		if !value.IsEmpty(id) && x.ID == value.Int(id) || value.IsEmpty(id) && x.Code == code {
			return b, x, nil
		}
	}
	return nil, nil, rest.Fail("ERROR_SECTION_NOT_FOUND", "Section not found")
}

func sectionUpdate(c *rest.Call) (any, error) {
	_, x, err := sectionOf(c)
	if err != nil {
		return nil, err
	}
	if _, ok := value.Array(c.Param("FIELDS")); !ok {
		return nil, rest.MissingParam("FIELDS")
	}
	writeSection(c, x, value.UpperFields(c.Param("FIELDS")))
	return true, nil
}

// sectionDelete is lists.section.delete: the sections below go too, and the
// elements stay without one.
func sectionDelete(c *rest.Call) (any, error) {
	b, x, err := sectionOf(c)
	if err != nil {
		return nil, err
	}
	b.DropSection(x.ID)
	return true, nil
}
