package lists

import (
	"cmp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// listOf finds the list that a call names by IBLOCK_ID or IBLOCK_CODE.
func listOf(c *rest.Call) (*model.IBlock, error) {
	typeID := c.Param("IBLOCK_TYPE_ID")
	if typeID == nil {
		return nil, rest.MissingParam("IBLOCK_TYPE_ID")
	}
	id, code := c.Param("IBLOCK_ID"), c.Param("IBLOCK_CODE")
	if id == nil && code == nil {
		return nil, rest.MissingParam("IBLOCK_ID")
	}
	for _, b := range c.Store.Lists {
		found := !value.IsEmpty(id) && b.ID == value.Int(id) || value.IsEmpty(id) && !value.IsEmpty(code) && b.Code == value.Text(code)
		if found && b.TypeID == value.Text(typeID) {
			return b, nil
		}
	}
	return nil, rest.Fail("ERROR_IBLOCK_NOT_FOUND", "Iblock not found")
}

// listsGet is lists.get.
func listsGet(c *rest.Call) (any, error) {
	typeID := c.Param("IBLOCK_TYPE_ID")
	if typeID == nil {
		return nil, rest.MissingParam("IBLOCK_TYPE_ID")
	}
	id, code := c.Param("IBLOCK_ID"), c.Param("IBLOCK_CODE")
	var found []*model.IBlock
	for _, b := range c.Store.Lists {
		if b.TypeID == value.Text(typeID) && (value.IsEmpty(id) || b.ID == value.Int(id)) && (value.IsEmpty(code) || b.Code == value.Text(code)) {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b *model.IBlock) int { return cmp.Compare(a.ID, b.ID) })
	order, _ := c.OptionalArray("IBLOCK_ORDER")
	query.Sort(found, query.LenientOrder(order, listColumn))
	answer := php.NewArray()
	if len(found) == 0 {
		return answer, nil // and no total
	}
	for _, b := range rest.Page(c, found) {
		answer.Append(listJSON(c, b))
	}
	return answer, nil
}

func listColumn(name string) (query.Column[*model.IBlock], bool) {
	switch strings.ToUpper(name) {
	case "ID":
		return query.NewColumn(name, query.Int, func(b *model.IBlock) any { return b.ID }), true
	case "NAME":
		return query.NewColumn(name, query.Text, func(b *model.IBlock) any { return b.Name }), true
	case "CODE":
		return query.NewColumn(name, query.Text, func(b *model.IBlock) any { return b.Code }), true
	case "SORT":
		return query.NewColumn(name, query.Int, func(b *model.IBlock) any { return b.Sort }), true
	case "TIMESTAMP_X":
		return query.NewColumn(name, query.Time, func(b *model.IBlock) any { return b.Changed }), true
	}
	return query.Column[*model.IBlock]{}, false
}

func listJSON(c *rest.Call, b *model.IBlock) *php.Array {
	return value.Object(
		"ID", value.Text(value.FromInt(b.ID)), "TIMESTAMP_X", c.Store.Zone.Local(b.Changed), "IBLOCK_TYPE_ID", b.TypeID,
		"LID", "s1", "CODE", value.TextOrNull(b.Code), "API_CODE", nil, "NAME", b.Name, "ACTIVE", "Y", "SORT", value.Text(value.FromInt(b.Sort)),
		"LIST_PAGE_URL", nil, "DETAIL_PAGE_URL", nil, "SECTION_PAGE_URL", nil, "CANONICAL_PAGE_URL", nil,
		"PICTURE", nil, "DESCRIPTION", b.Description, "DESCRIPTION_TYPE", "text", "RSS_TTL", "24", "RSS_ACTIVE", "Y",
		"RSS_FILE_ACTIVE", "N", "RSS_FILE_LIMIT", nil, "RSS_FILE_DAYS", nil, "RSS_YANDEX_ACTIVE", "N",
		"XML_ID", nil, "TMP_ID", nil, "INDEX_ELEMENT", "Y", "INDEX_SECTION", "N", "WORKFLOW", "N", "BIZPROC", value.YesNo(b.Bizproc),
		"SECTION_CHOOSER", "L", "LIST_MODE", nil, "RIGHTS_MODE", "S", "SECTION_PROPERTY", nil, "PROPERTY_INDEX", nil,
		"VERSION", "1", "LAST_CONV_ELEMENT", "0", "SOCNET_GROUP_ID", nil, "EDIT_FILE_BEFORE", nil,
		"EDIT_FILE_AFTER", nil, "SECTIONS_NAME", listMessage(b, "SECTIONS_NAME", "Sections"),
		"SECTION_NAME", listMessage(b, "SECTION_NAME", "Section"), "ELEMENTS_NAME", listMessage(b, "ELEMENTS_NAME", "Elements"),
		"ELEMENT_NAME", listMessage(b, "ELEMENT_NAME", "Element"), "REST_ON", "N", "FULLTEXT_INDEX", "N", "EXTERNAL_ID", nil, "LANG_DIR", "/",
		"SERVER_NAME", nil,
	)
}

// listsTypeID is lists.get.iblock.type.id: null where there is no such list.
func listsTypeID(c *rest.Call) (any, error) {
	for _, b := range c.Store.Lists {
		id, code := c.Param("IBLOCK_ID"), c.Param("IBLOCK_CODE")
		if !value.IsEmpty(id) && b.ID == value.Int(id) || value.IsEmpty(id) && !value.IsEmpty(code) && b.Code == value.Text(code) {
			return b.TypeID, nil
		}
	}
	return nil, nil
}
