package emulator

import (
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// sectionColumns are the fields of a section in the order of the documented
// answer. Filters compare what they show.
// https://apidocs.bitrix24.com/api-reference/lists/sections/lists-section-get.html
func sectionColumns(b *iblock) []query.Column[*section] {
	number := func(name string, get func(*section) int64) query.Column[*section] {
		return query.NewColumn(name, query.Int, func(x *section) any { return get(x) })
	}
	text := func(name string, get func(*section) string) query.Column[*section] {
		return query.NewColumn(name, query.Text, func(x *section) any { return get(x) })
	}
	moment := func(name string, get func(*section) time.Time) query.Column[*section] {
		return query.NewColumn(name, query.Time, func(x *section) any { return get(x) })
	}
	return []query.Column[*section]{
		number("ID", func(x *section) int64 { return x.id }),
		text("CODE", func(x *section) string { return x.code }),
		text("XML_ID", func(x *section) string { return x.external }),
		text("EXTERNAL_ID", func(x *section) string { return x.external }),
		query.NewColumn("IBLOCK_SECTION_ID", query.Int, func(x *section) any {
			if x.parent == 0 {
				return nil
			}
			return x.parent
		}),
		moment("TIMESTAMP_X", func(x *section) time.Time { return x.changed }),
		number("SORT", func(x *section) int64 { return x.sort }),
		text("NAME", func(x *section) string { return x.name }),
		text("ACTIVE", func(x *section) string { return value.YesNo(x.active) }),
		text("GLOBAL_ACTIVE", func(x *section) string { return value.YesNo(b.shown(x)) }),
		number("LEFT_MARGIN", func(x *section) int64 { left, _ := b.margins(x); return left }),
		number("RIGHT_MARGIN", func(x *section) int64 { _, right := b.margins(x); return right }),
		number("DEPTH_LEVEL", b.depth),
		text("SEARCHABLE_CONTENT", func(x *section) string { return strings.ToUpper(x.name) + "\r\n" }),
		number("MODIFIED_BY", func(x *section) int64 { return x.modifier }),
		moment("DATE_CREATE", func(x *section) time.Time { return x.created }),
		number("CREATED_BY", func(x *section) int64 { return x.creator }),
	}
}

// sectionGet is lists.section.get: all values are text.
func sectionGet(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	columns := sectionColumns(b)
	find := query.InAnyCase(query.Among(columns))
	filter, _ := c.optionalArray("FILTER")
	s := c.store()
	r := query.Rules[*section]{Find: find, Masks: true, Zone: s.zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(b.sections, pass)
	only := elementSelection(c)
	answer := php.NewArray()
	if len(found) == 0 {
		return answer, nil // and no total
	}
	for _, x := range page(c, found) {
		row := php.NewArray()
		for _, col := range columns {
			if only == nil || only[col.Name] {
				row.Set(col.Name, sectionText(c.store(), col.Get(x)))
			}
		}
		answer.Append(row)
	}
	return answer, nil
}

// sectionText is a value as lists show it.
func sectionText(s *store, v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return s.zone.Local(v)
	case string:
		return value.TextOrNull(v)
	}
	return v
}

// sectionAdd is lists.section.add. Its result is the id, a number.
func sectionAdd(c *call) (any, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, err
	}
	if value.IsEmpty(c.param("SECTION_CODE")) {
		return nil, missingParam("SECTION_CODE")
	}
	g := value.UpperFields(c.param("FIELDS"))
	if value.IsEmpty(g["NAME"]) {
		return nil, missingParam("NAME")
	}
	s := c.store()
	now := c.savedAt()
	x := &section{
		code: value.Text(c.param("SECTION_CODE")), parent: value.Int(c.param("IBLOCK_SECTION_ID")), active: true, sort: 500,
		created: now, creator: c.req.by.user,
	}
	if x.parent != 0 && b.section(x.parent) == nil {
		return nil, fail("ERROR_ADD_SECTION", "The parent section was not found")
	}
	x.id = s.next("section")
	writeSection(c, x, g)
	b.sections = append(b.sections, x)
	return value.FromInt(x.id), nil
}

// writeSection takes the fields of a section. EXTERNAL_ID and XML_ID are one,
// and the first of them wins.
func writeSection(c *call, x *section, g value.Fields) {
	if v, ok := g["NAME"]; ok && !value.IsEmpty(v) {
		x.name = value.Text(v)
	}
	for _, name := range []string{"XML_ID", "EXTERNAL_ID"} {
		if v, ok := g[name]; ok {
			x.external = value.Text(v)
		}
	}
	g.Int("SORT", &x.sort)
	if v, ok := g["ACTIVE"]; ok {
		x.active = v == "Y"
	}
	x.changed, x.modifier = c.savedAt(), c.req.by.user
}

// sectionOf finds the section that a call names.
func sectionOf(c *call) (*iblock, *section, error) {
	b, err := listOf(c)
	if err != nil {
		return nil, nil, err
	}
	id, code := c.param("SECTION_ID"), value.Text(c.param("SECTION_CODE"))
	if value.IsEmpty(id) && code == "" {
		return nil, nil, missingParam("SECTION_ID")
	}
	for _, x := range b.sections {
		if !value.IsEmpty(id) && x.id == value.Int(id) || value.IsEmpty(id) && x.code == code {
			return b, x, nil
		}
	}
	return nil, nil, fail("ERROR_SECTION_NOT_FOUND", "Section not found")
}

func sectionUpdate(c *call) (any, error) {
	_, x, err := sectionOf(c)
	if err != nil {
		return nil, err
	}
	if _, ok := value.Array(c.param("FIELDS")); !ok {
		return nil, missingParam("FIELDS")
	}
	writeSection(c, x, value.UpperFields(c.param("FIELDS")))
	return true, nil
}

// sectionDelete is lists.section.delete: the sections below go too, and the
// elements stay without one.
func sectionDelete(c *call) (any, error) {
	b, x, err := sectionOf(c)
	if err != nil {
		return nil, err
	}
	b.dropSection(x.id)
	return true, nil
}
