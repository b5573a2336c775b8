package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func statusMethods() []method {
	return []method{
		{name: "crm.status.list", scope: "crm", legacy: true, run: statusList},
		{name: "crm.status.get", scope: "crm", legacy: true, run: statusGet},
		{name: "crm.status.fields", scope: "crm", legacy: true, run: statusFields},
		{name: "crm.status.entity.types", scope: "crm", legacy: true, run: statusEntityTypes},
		{name: "crm.status.entity.items", scope: "crm", legacy: true, run: statusEntityItems},
	}
}

// allDirectories are all of them, the types' by their ids.
func allDirectories(s *store) []directory {
	all := slices.Clone(s.directories)
	for _, t := range s.sortedTypes() {
		for _, cat := range t.categories {
			if cat.directory != "" {
				all = append(all, directory{id: cat.directory, name: t.title + " stages", entries: cat.stages, typ: t, category: cat})
			}
		}
	}
	return all
}

// entry is one row of crm.status.list.
type entry struct {
	stage
	directory directory
}

func statusEntries(s *store) []entry {
	var all []entry
	for _, d := range allDirectories(s) {
		for _, st := range d.entries {
			all = append(all, entry{st, d})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.row, b.row) })
	return all
}

// category is the id of the pipeline that an entry belongs to, null for the
// first one and for other directories.
func (e entry) category() any {
	if e.directory.category == nil || e.directory.category.id == 0 {
		return nil
	}
	return strconv.FormatInt(e.directory.category.id, 10)
}

// semantic is S or F, and null in between.
func (e entry) semantic() any {
	if e.semantics == "S" || e.semantics == "F" {
		return e.semantics
	}
	return nil
}

// extra is what the additional fields of a stage say: its first failure is one,
// the others are apologies.
func (e entry) extra() string {
	switch {
	case e.semantics == "S":
		return "success"
	case e.semantics != "F":
		return "process"
	case e.system:
		return "failure"
	}
	return "apology"
}

// json is an entry as crm.status.get shows it: all is text.
func (e entry) json() *php.Array {
	original := ""
	if e.system {
		original = e.name
	}
	a := value.Object(
		"ID", strconv.FormatInt(e.row, 10), "ENTITY_ID", e.directory.id, "STATUS_ID", e.id, "NAME", e.name, "NAME_INIT", original,
		"SORT", strconv.FormatInt(e.sort, 10), "SYSTEM", value.YesNo(e.system), "CATEGORY_ID", e.category(), "COLOR", nil, "SEMANTICS", e.semantic(),
	)
	if e.directory.typ != nil {
		a.Set("COLOR", e.color)
	}
	return a
}

// statusColumn finds what crm.status.list filters and orders by.
func statusColumn(name string) (query.Column[entry], bool) {
	texts := map[string]func(entry) any{
		"ENTITY_ID": func(e entry) any { return e.directory.id },
		"STATUS_ID": func(e entry) any { return e.id },
		"NAME":      func(e entry) any { return e.name },
		"SYSTEM":    func(e entry) any { return value.YesNo(e.system) },
		"SEMANTICS": entry.semantic,
	}
	switch name {
	case "ID":
		return query.NewColumn(name, query.Int, func(e entry) any { return e.row }), true
	case "SORT":
		return query.NewColumn(name, query.Int, func(e entry) any { return e.sort }), true
	case "CATEGORY_ID":
		return query.NewColumn(name, query.Int, func(e entry) any {
			if e.directory.category == nil {
				return nil
			}
			return e.directory.category.id
		}), true
	}
	get, ok := texts[name]
	return query.NewColumn(name, query.Text, get), ok
}

// statusList is crm.status.list. It has no pages, and its errors have their text
// where others have a code.
func statusList(c *call) (any, error) {
	filter, order, err := c.legacyConditions()
	if err != nil {
		return nil, fail("Invalid parameters.", "Incorrect parameters passed.")
	}
	r := query.Rules[entry]{Find: statusColumn, Zone: c.store().zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(statusEntries(c.store()), pass)
	query.Sort(found, query.LenientOrder(order, statusColumn))
	answer := php.NewArray()
	for _, e := range found {
		row := e.json()
		if e.directory.typ != nil {
			row.Set("EXTRA", value.Object("SEMANTICS", e.extra(), "COLOR", e.color))
		}
		answer.Append(row)
	}
	c.total, c.hasTotal = len(found), true
	return answer, nil
}

// statusGet is crm.status.get.
func statusGet(c *call) (any, error) {
	id := value.Int(c.param("ID"))
	for _, e := range statusEntries(c.store()) {
		if e.row == id {
			return e.json(), nil
		}
	}
	return nil, fail("Status is not found.", "Directory item not found.")
}

// statusFields is crm.status.fields.
func statusFields(*call) (any, error) {
	return describeAll(
		sys("ID", "integer", "ID", readOnly),
		sys("ENTITY_ID", "string", "Directory", required|immutable),
		sys("STATUS_ID", "string", "Entry", required|immutable),
		sys("SORT", "integer", "Sorting", 0),
		sys("NAME", "string", "Name", required),
		sys("NAME_INIT", "string", "Default name", readOnly),
		sys("SYSTEM", "char", "System", readOnly),
		sys("CATEGORY_ID", "integer", "CATEGORY_ID", immutable),
		sys("COLOR", "string", "COLOR", 0),
		sys("SEMANTICS", "char", "SEMANTICS", immutable),
		sys("EXTRA", "crm_status_extra", "Additional fields", 0),
	), nil
}

// statusEntityTypes is crm.status.entity.types. Only some directories have all
// keys, and CATEGORY_ID is text in one row and a number in another.
// https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-entity-types.html
func statusEntityTypes(c *call) (any, error) {
	answer := php.NewArray()
	for _, d := range allDirectories(c.store()) {
		row := value.Object("ID", d.id, "NAME", d.name)
		if d.typ != nil {
			describeDirectory(d, row)
		}
		answer.Append(row)
	}
	return answer, nil
}

func describeDirectory(d directory, row *php.Array) {
	deals, cat := d.typ.id == typeDeal, d.category
	if deals && cat.id != 0 {
		row.Set("PARENT_ID", "DEAL_STAGE")
	}
	row.Set("SEMANTIC_INFO", php.NewArray())
	if d.typ.ownEvents() { // the older types
		row.Set("SEMANTIC_INFO", value.Object("START_FIELD", firstStage(d, ""), "FINAL_SUCCESS_FIELD", firstStage(d, "S"), "FINAL_UNSUCCESS_FIELD", firstStage(d, "F"), "FINAL_SORT", 0))
	}
	if cat.prefix != "" {
		row.Set("PREFIX", cat.prefix)
	}
	if deals || cat.prefix != "" {
		scope := ""
		if cat.id != 0 {
			scope = fmt.Sprintf("category_%d", cat.id)
		}
		row.Set("FIELD_ATTRIBUTE_SCOPE", scope)
	}
	row.Set("ENTITY_TYPE_ID", value.FromInt(int64(d.typ.id)))
	switch {
	case deals && cat.id != 0:
		row.Set("CATEGORY_ID", strconv.FormatInt(cat.id, 10))
	case deals:
		row.Set("CATEGORY_ID", value.FromInt(0))
	case cat.prefix != "":
		row.Set("IS_ENABLED", true)
		row.Set("CATEGORY_ID", value.FromInt(cat.id))
	}
	if d.typ.dynamic != nil {
		row.Set("CATEGORY_NAME", cat.name)
		row.Set("CATEGORY_SORT", value.FromInt(cat.sort))
		row.Set("IS_DEFAULT_CATEGORY", cat.byDefault)
	}
}

// firstStage is the first stage with a meaning, of all with "".
func firstStage(d directory, semantics string) string {
	for _, st := range d.entries {
		if semantics == "" || st.semantics == semantics {
			return st.id
		}
	}
	return ""
}

// statusEntityItems is crm.status.entity.items. SORT is a number there.
func statusEntityItems(c *call) (any, error) {
	id := value.Text(c.param("ENTITYID"))
	for _, d := range allDirectories(c.store()) {
		if d.id == id {
			return shortStages(d.entries), nil
		}
	}
	return nil, fail("The parameter entityId is not defined or invalid.", "The directory ID is not specified or is incorrect.")
}

func shortStages(stages []stage) *php.Array {
	answer := php.NewArray()
	for _, st := range stages {
		answer.Append(value.Object("NAME", st.name, "SORT", st.sort, "STATUS_ID", st.id))
	}
	return answer
}
