package emulator

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func timelineMethods() []method {
	return []method{
		{name: "crm.timeline.comment.add", scope: "crm", run: commentAdd},
		{name: "crm.timeline.comment.update", scope: "crm", run: commentUpdate},
		{name: "crm.timeline.comment.delete", scope: "crm", run: commentDelete},
		{name: "crm.timeline.comment.get", scope: "crm", legacy: true, run: commentGet},
		{name: "crm.timeline.comment.list", scope: "crm", legacy: true, run: commentList},
		{name: "crm.timeline.comment.fields", scope: "crm", legacy: true, run: commentFields},
	}
}

// commentInput reads fields, whose name is lower-case only.
// https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html
func commentInput(c *call) (value.Fields, error) {
	if _, ok := value.Array(c.param("fields")); !ok {
		return nil, c.wrongType("fields", "array")
	}
	return value.UpperFields(c.param("fields")), nil
}

// commentAdd is crm.timeline.comment.add. Its result is the id, a number.
func commentAdd(c *call) (any, error) {
	g, err := commentInput(c)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"ENTITY_TYPE", "ENTITY_ID"} {
		if value.IsEmpty(g[name]) {
			return nil, fail("100", "Required field: "+name)
		}
	}
	s := c.store()
	t := s.commentType(value.Text(g["ENTITY_TYPE"]))
	if t == nil || s.item(t.id, value.Int(g["ENTITY_ID"])) == nil {
		return nil, fail("OWNER_NOT_FOUND", "Owner not found")
	}
	text := strings.TrimSpace(value.Text(g["COMMENT"]))
	if text == "" {
		return nil, fail("INVALID_ARG_VALUE", "Empty comment message")
	}
	m := &comment{
		id: s.next("comment"), typ: t, item: value.Int(g["ENTITY_ID"]), author: c.req.by.user, text: text,
		created: c.savedAt(), files: readCommentFiles(s, g),
	}
	s.comments = append(s.comments, m)
	fireComment(c, m, opAdd)
	return value.FromInt(m.id), nil
}

// readCommentFiles takes FILES: pairs of a name and the content in base64.
func readCommentFiles(s *store, g value.Fields) []commentFile {
	var files []commentFile
	for _, v := range value.List(g["FILES"]) {
		pair, _ := value.Array(v)
		name, _ := pair.Get("0")
		content, ok := pair.Get("1")
		if !ok {
			continue
		}
		encoded := strings.TrimRight(value.Text(content), "=")
		files = append(files, commentFile{id: s.next("file"), name: value.Text(name), size: len(encoded) * 3 / 4})
	}
	return files
}

// commentUpdate is crm.timeline.comment.update. Its result is the id.
func commentUpdate(c *call) (any, error) {
	id, err := c.intParam("id")
	if err != nil {
		return nil, err
	}
	g, err := commentInput(c)
	if err != nil {
		return nil, err
	}
	m := c.store().commentOf(value.FromInt(id))
	if m == nil {
		return nil, fail("NOT_FOUND", "Not found.")
	}
	if v, ok := g["COMMENT"]; ok {
		text := strings.TrimSpace(value.Text(v))
		if text == "" {
			return nil, fail("INVALID_ARG_VALUE", "Empty comment message")
		}
		m.text = text
	}
	if _, ok := g["FILES"]; ok {
		m.files = readCommentFiles(c.store(), g)
	}
	fireComment(c, m, opUpdate)
	return value.FromInt(m.id), nil
}

// commentDelete is crm.timeline.comment.delete. Its result is null.
func commentDelete(c *call) (any, error) {
	id, err := c.intParam("id")
	if err != nil {
		return nil, err
	}
	s := c.store()
	m := s.commentOf(value.FromInt(id))
	if m == nil {
		return nil, fail("NOT_FOUND", "Not found.")
	}
	if owner := c.param("ownerId"); owner != nil {
		typ := int(value.Int(c.param("ownerTypeId")))
		switch {
		case s.types[typ] == nil || s.item(typ, value.Int(owner)) == nil:
			return nil, fail("OWNER_NOT_FOUND", "Owner not found")
		case m.typ.id != typ || m.item != value.Int(owner):
			return nil, fail("NOT_FOUND", "Not found.")
		}
	}
	s.comments = slices.DeleteFunc(s.comments, func(x *comment) bool { return x == m })
	fireComment(c, m, opDelete)
	return nil, nil
}

// commentJSON is a comment as get and list show it: all but the files is text.
func commentJSON(c *call, m *comment) *php.Array {
	s := c.store()
	files := php.NewArray()
	var shown any = files
	if len(m.files) == 0 {
		shown = value.EmptyObject{}
	}
	for _, f := range m.files {
		files.Set(value.Text(value.FromInt(f.id)), value.Object(
			"id", f.id, "date", s.zone.Stamp(m.created), "type", "file", "name", f.name, "size", f.size, "authorId", m.author,
			"authorName", c.userName(m.author), "urlPreview", "", "urlShow", "", "urlDownload", "",
		))
	}
	return value.Object(
		"ID", value.Text(value.FromInt(m.id)), "ENTITY_ID", value.Text(value.FromInt(m.item)), "ENTITY_TYPE", strings.ToLower(m.typ.code),
		"CREATED", s.zone.Stamp(m.created), "COMMENT", m.text, "AUTHOR_ID", value.Text(value.FromInt(m.author)), "FILES", shown,
	)
}

// commentGet is crm.timeline.comment.get. Its errors have no codes.
func commentGet(c *call) (any, error) {
	if value.Int(c.param("ID")) <= 0 {
		return nil, plainFail("ID is not defined or invalid.")
	}
	m := c.store().commentOf(c.param("ID"))
	if m == nil {
		return nil, plainFail("Not found.")
	}
	return commentJSON(c, m), nil
}

// commentColumn finds what comments are ordered by.
func commentColumn(name string) (query.Column[*comment], bool) {
	switch name {
	case "ID":
		return query.NewColumn(name, query.Int, func(m *comment) any { return m.id }), true
	case "CREATED":
		return query.NewColumn(name, query.Time, func(m *comment) any { return m.created }), true
	case "AUTHOR_ID":
		return query.NewColumn(name, query.Int, func(m *comment) any { return m.author }), true
	}
	return query.Column[*comment]{}, false
}

// commentList is crm.timeline.comment.list: the comments of one item, which the
// filter has to name.
func commentList(c *call) (any, error) {
	filter, order, err := c.legacyConditions()
	if err != nil {
		return nil, err
	}
	name, _ := value.Either(filter, "ENTITY_TYPE", "=ENTITY_TYPE")
	id, _ := value.Either(filter, "ENTITY_ID", "=ENTITY_ID")
	s := c.store()
	t := s.commentType(value.Text(name))
	if t == nil || s.item(t.id, value.Int(id)) == nil {
		// What is not there cannot be read.
		return nil, plainFail("Access denied.")
	}
	found := query.Keep(s.comments, func(m *comment) bool { return m.typ == t && m.item == value.Int(id) })
	query.Sort(found, query.LenientOrder(order, commentColumn))
	only := elementSelection(c)
	answer := php.NewArray()
	for _, m := range page(c, found) {
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

func commentFields(*call) (any, error) {
	return describeAll(
		sys("ID", "integer", "ID", readOnly),
		sys("CREATED", "datetime", "Added on", readOnly),
		sys("ENTITY_ID", "integer", "Item of the comment", required|immutable),
		sys("ENTITY_TYPE", "string", "Type of the item", required|immutable),
		sys("AUTHOR_ID", "integer", "Author", immutable),
		sys("COMMENT", "string", "Text", 0),
		sys("FILES", "attached_diskfile", "Files", multiple),
	), nil
}

// fireComment raises the event of a comment. The documentation shows data[ID],
// the server's source data[FIELDS][ID].
func fireComment(c *call, m *comment, op string) {
	id := value.Object("ID", value.Text(value.FromInt(m.id)))
	code := "ONCRMTIMELINECOMMENT" + strings.ToUpper(op)
	if c.p.cfg.CommentFields {
		c.raise(code, id)
		return
	}
	c.raiseData(code, id)
}
