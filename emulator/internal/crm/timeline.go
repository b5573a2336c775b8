package crm

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func TimelineMethods() []rest.Method {
	return []rest.Method{
		{Name: "crm.timeline.comment.add", Scope: "crm", Run: commentAdd},
		{Name: "crm.timeline.comment.update", Scope: "crm", Run: commentUpdate},
		{Name: "crm.timeline.comment.delete", Scope: "crm", Run: commentDelete},
		{Name: "crm.timeline.comment.get", Scope: "crm", Legacy: true, Run: commentGet},
		{Name: "crm.timeline.comment.list", Scope: "crm", Legacy: true, Run: commentList},
		{Name: "crm.timeline.comment.fields", Scope: "crm", Legacy: true, Run: commentFields},
	}
}

// commentInput reads fields, whose name is lower-case only.
// https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html
func commentInput(c *rest.Call) (value.Fields, error) {
	if _, ok := value.Array(c.Param("fields")); !ok {
		return nil, c.WrongType("fields", "array")
	}
	return value.UpperFields(c.Param("fields")), nil
}

// commentAdd is crm.timeline.comment.add. Its result is the id, a number.
func commentAdd(c *rest.Call) (any, error) {
	g, err := commentInput(c)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"ENTITY_TYPE", "ENTITY_ID"} {
		if value.IsEmpty(g[name]) {
			return nil, rest.Fail("100", "Required field: "+name)
		}
	}
	s := c.Store
	t := s.TypeByCode(value.Text(g["ENTITY_TYPE"]))
	if t == nil || s.Item(t.ID, value.Int(g["ENTITY_ID"])) == nil {
		return nil, rest.Fail("OWNER_NOT_FOUND", "Owner not found")
	}
	text := strings.TrimSpace(value.Text(g["COMMENT"]))
	if text == "" {
		return nil, rest.Fail("INVALID_ARG_VALUE", "Empty comment message")
	}
	m := &model.Comment{
		ID: s.Next("comment"), Type: t, Item: value.Int(g["ENTITY_ID"]), Author: c.Request.By.User, Text: text,
		Created: c.SavedAt(), Files: readCommentFiles(s, g),
	}
	s.Comments = append(s.Comments, m)
	fireComment(c, m, rest.OpAdd)
	return value.FromInt(m.ID), nil
}

// readCommentFiles takes FILES: pairs of a name and the content in base64.
func readCommentFiles(s *model.Store, g value.Fields) []model.CommentFile {
	var files []model.CommentFile
	for _, v := range value.List(g["FILES"]) {
		pair, _ := value.Array(v)
		name, _ := pair.Get("0")
		content, ok := pair.Get("1")
		if !ok {
			continue
		}
		encoded := strings.TrimRight(value.Text(content), "=")
		files = append(files, model.CommentFile{ID: s.Next("file"), Name: value.Text(name), Size: len(encoded) * 3 / 4})
	}
	return files
}

// commentUpdate is crm.timeline.comment.update. Its result is the id.
func commentUpdate(c *rest.Call) (any, error) {
	id, err := c.IntParam("id")
	if err != nil {
		return nil, err
	}
	g, err := commentInput(c)
	if err != nil {
		return nil, err
	}
	m := c.Store.CommentByID(value.FromInt(id))
	if m == nil {
		return nil, rest.Fail("NOT_FOUND", "Not found.")
	}
	if v, ok := g["COMMENT"]; ok {
		text := strings.TrimSpace(value.Text(v))
		if text == "" {
			return nil, rest.Fail("INVALID_ARG_VALUE", "Empty comment message")
		}
		m.Text = text
	}
	if _, ok := g["FILES"]; ok {
		m.Files = readCommentFiles(c.Store, g)
	}
	fireComment(c, m, rest.OpUpdate)
	return value.FromInt(m.ID), nil
}

// commentDelete is crm.timeline.comment.delete. Its result is null.
func commentDelete(c *rest.Call) (any, error) {
	id, err := c.IntParam("id")
	if err != nil {
		return nil, err
	}
	s := c.Store
	m := s.CommentByID(value.FromInt(id))
	if m == nil {
		return nil, rest.Fail("NOT_FOUND", "Not found.")
	}
	if owner := c.Param("ownerId"); owner != nil {
		typ := int(value.Int(c.Param("ownerTypeId")))
		switch {
		case s.Types[typ] == nil || s.Item(typ, value.Int(owner)) == nil:
			return nil, rest.Fail("OWNER_NOT_FOUND", "Owner not found")
		case m.Type.ID != typ || m.Item != value.Int(owner):
			return nil, rest.Fail("NOT_FOUND", "Not found.")
		}
	}
	s.Comments = slices.DeleteFunc(s.Comments, func(x *model.Comment) bool { return x == m })
	fireComment(c, m, rest.OpDelete)
	return nil, nil
}

// commentJSON is a comment as get and list show it: all but the files is text.
func commentJSON(c *rest.Call, m *model.Comment) *php.Array {
	s := c.Store
	files := php.NewArray()
	var shown any = files
	if len(m.Files) == 0 {
		shown = value.EmptyObject{}
	}
	for _, f := range m.Files {
		files.Set(value.Text(value.FromInt(f.ID)), value.Object(
			"id", f.ID, "date", s.Zone.Stamp(m.Created), "type", "file", "name", f.Name, "size", f.Size, "authorId", m.Author,
			"authorName", c.UserName(m.Author), "urlPreview", "", "urlShow", "", "urlDownload", "",
		))
	}
	return value.Object(
		"ID", value.Text(value.FromInt(m.ID)), "ENTITY_ID", value.Text(value.FromInt(m.Item)), "ENTITY_TYPE", strings.ToLower(m.Type.Code),
		"CREATED", s.Zone.Stamp(m.Created), "COMMENT", m.Text, "AUTHOR_ID", value.Text(value.FromInt(m.Author)), "FILES", shown,
	)
}

// commentGet is crm.timeline.comment.get. Its errors have no codes.
func commentGet(c *rest.Call) (any, error) {
	if value.Int(c.Param("ID")) <= 0 {
		return nil, rest.FailText("ID is not defined or invalid.")
	}
	m := c.Store.CommentByID(c.Param("ID"))
	if m == nil {
		return nil, rest.FailText("Not found.")
	}
	return commentJSON(c, m), nil
}

// commentColumn finds what comments are ordered by.
func commentColumn(name string) (query.Column[*model.Comment], bool) {
	switch name {
	case "ID":
		return query.NewColumn(name, query.Int, func(m *model.Comment) any { return m.ID }), true
	case "CREATED":
		return query.NewColumn(name, query.Time, func(m *model.Comment) any { return m.Created }), true
	case "AUTHOR_ID":
		return query.NewColumn(name, query.Int, func(m *model.Comment) any { return m.Author }), true
	}
	return query.Column[*model.Comment]{}, false
}

// commentList is crm.timeline.comment.list: the comments of one item, which the
// filter has to name.
func commentList(c *rest.Call) (any, error) {
	filter, order, err := c.LegacyConditions()
	if err != nil {
		return nil, err
	}
	name, _ := value.Either(filter, "ENTITY_TYPE", "=ENTITY_TYPE")
	id, _ := value.Either(filter, "ENTITY_ID", "=ENTITY_ID")
	s := c.Store
	t := s.TypeByCode(value.Text(name))
	if t == nil || s.Item(t.ID, value.Int(id)) == nil {
		// What is not there cannot be read.
		return nil, rest.FailText("Access denied.")
	}
	found := query.Keep(s.Comments, func(m *model.Comment) bool { return m.Type == t && m.Item == value.Int(id) })
	query.Sort(found, query.LenientOrder(order, commentColumn))
	only := c.Selection()
	answer := php.NewArray()
	for _, m := range rest.Page(c, found) {
		row := commentJSON(c, m)
		for _, key := range row.Keys() {
			if only != nil && !only[key] {
				row.Delete(key)
			}
		}
		answer.Append(row)
	}
	return answer, nil
}

func commentFields(*rest.Call) (any, error) {
	return describeAll(
		model.NewField("ID", "integer", "ID", model.ReadOnly),
		model.NewField("CREATED", "datetime", "Added on", model.ReadOnly),
		model.NewField("ENTITY_ID", "integer", "Item of the comment", model.Required|model.Immutable),
		model.NewField("ENTITY_TYPE", "string", "Type of the item", model.Required|model.Immutable),
		model.NewField("AUTHOR_ID", "integer", "Author", model.Immutable),
		model.NewField("COMMENT", "string", "Text", 0),
		model.NewField("FILES", "attached_diskfile", "Files", model.Multiple),
	), nil
}

// fireComment raises the event of a comment. The documentation shows data[ID],
// the server's source data[FIELDS][ID].
func fireComment(c *rest.Call, m *model.Comment, op string) {
	id := value.Object("ID", value.Text(value.FromInt(m.ID)))
	code := "ONCRMTIMELINECOMMENT" + strings.ToUpper(op)
	if c.Options.CommentFields {
		c.Raise(code, id)
		return
	}
	c.RaiseData(code, id)
}
