package crm

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func StatusMethods() []rest.Method {
	return []rest.Method{
		{Name: "crm.status.list", Scope: "crm", Legacy: true, Run: statusList},
		{Name: "crm.status.get", Scope: "crm", Legacy: true, Run: statusGet},
		{Name: "crm.status.fields", Scope: "crm", Legacy: true, Run: statusFields},
		{Name: "crm.status.entity.types", Scope: "crm", Legacy: true, Run: statusEntityTypes},
		{Name: "crm.status.entity.items", Scope: "crm", Legacy: true, Run: statusEntityItems},
	}
}

// allDirectories are all of them, the types' by their ids.
func allDirectories(s *model.Store) []model.Directory {
	all := slices.Clone(s.Directories)
	for _, t := range s.SortedTypes() {
		for _, cat := range t.Categories {
			if cat.Directory != "" {
				all = append(all, model.Directory{ID: cat.Directory, Name: t.Title + " stages", Entries: cat.Stages, Type: t, Category: cat})
			}
		}
	}
	return all
}

// entry is one row of crm.status.list.
type entry struct {
	model.Stage
	directory model.Directory
}

func statusEntries(s *model.Store) []entry {
	var all []entry
	for _, d := range allDirectories(s) {
		for _, st := range d.Entries {
			all = append(all, entry{st, d})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.Row, b.Row) })
	return all
}

// category is the id of the pipeline that an entry belongs to, null for the
// first one and for other directories.
func (e entry) category() any {
	if e.directory.Category == nil || e.directory.Category.ID == 0 {
		return nil
	}
	return strconv.FormatInt(e.directory.Category.ID, 10)
}

// semantic is S or F, and null in between.
func (e entry) semantic() any {
	if e.Semantics == "S" || e.Semantics == "F" {
		return e.Semantics
	}
	return nil
}

// extra is what the additional fields of a stage say: its first failure is one,
// the others are apologies.
func (e entry) extra() string {
	switch {
	case e.Semantics == "S":
		return "success"
	case e.Semantics != "F":
		return "process"
	case e.System:
		return "failure"
	}
	return "apology"
}

// json is an entry as crm.status.get shows it: all is text.
func (e entry) json() *php.Array {
	original := ""
	if e.System {
		original = e.Name
	}
	a := value.Object(
		"ID", strconv.FormatInt(e.Row, 10), "ENTITY_ID", e.directory.ID, "STATUS_ID", e.ID, "NAME", e.Name, "NAME_INIT", original,
		"SORT", strconv.FormatInt(e.Sort, 10), "SYSTEM", value.YesNo(e.System), "CATEGORY_ID", e.category(), "COLOR", nil, "SEMANTICS", e.semantic(),
	)
	if e.directory.Type != nil {
		a.Set("COLOR", e.Color)
	}
	return a
}

// statusColumn finds what crm.status.list filters and orders by.
func statusColumn(name string) (query.Column[entry], bool) {
	texts := map[string]func(entry) any{
		"ENTITY_ID": func(e entry) any { return e.directory.ID },
		"STATUS_ID": func(e entry) any { return e.ID },
		"NAME":      func(e entry) any { return e.Name },
		"SYSTEM":    func(e entry) any { return value.YesNo(e.System) },
		"SEMANTICS": entry.semantic,
	}
	switch name {
	case "ID":
		return query.NewColumn(name, query.Int, func(e entry) any { return e.Row }), true
	case "SORT":
		return query.NewColumn(name, query.Int, func(e entry) any { return e.Sort }), true
	case "CATEGORY_ID":
		return query.NewColumn(name, query.Int, func(e entry) any {
			if e.directory.Category == nil {
				return nil
			}
			return e.directory.Category.ID
		}), true
	}
	get, ok := texts[name]
	return query.NewColumn(name, query.Text, get), ok
}

// statusList is crm.status.list. It has no pages, and its errors have their text
// where others have a code.
func statusList(c *rest.Call) (any, error) {
	filter, order, err := c.LegacyConditions()
	if err != nil {
		return nil, rest.Fail("Invalid parameters.", "Incorrect parameters passed.")
	}
	r := query.Rules[entry]{Find: statusColumn, Zone: c.Store.Zone}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(statusEntries(c.Store), pass)
	query.Sort(found, query.LenientOrder(order, statusColumn))
	answer := php.NewArray()
	for _, e := range found {
		row := e.json()
		if e.directory.Type != nil {
			row.Set("EXTRA", value.Object("SEMANTICS", e.extra(), "COLOR", e.Color))
		}
		answer.Append(row)
	}
	c.Total, c.HasTotal = len(found), true
	return answer, nil
}

// statusGet is crm.status.get.
func statusGet(c *rest.Call) (any, error) {
	id := value.Int(c.Param("ID"))
	for _, e := range statusEntries(c.Store) {
		if e.Row == id {
			return e.json(), nil
		}
	}
	return nil, rest.Fail("Status is not found.", "Directory item not found.")
}

// statusFields is crm.status.fields.
func statusFields(*rest.Call) (any, error) {
	return describeAll(
		model.NewField("ID", "integer", "ID", model.ReadOnly),
		model.NewField("ENTITY_ID", "string", "Directory", model.Required|model.Immutable),
		model.NewField("STATUS_ID", "string", "Entry", model.Required|model.Immutable),
		model.NewField("SORT", "integer", "Sorting", 0),
		model.NewField("NAME", "string", "Name", model.Required),
		model.NewField("NAME_INIT", "string", "Default name", model.ReadOnly),
		model.NewField("SYSTEM", "char", "System", model.ReadOnly),
		model.NewField("CATEGORY_ID", "integer", "CATEGORY_ID", model.Immutable),
		model.NewField("COLOR", "string", "COLOR", 0),
		model.NewField("SEMANTICS", "char", "SEMANTICS", model.Immutable),
		model.NewField("EXTRA", "crm_status_extra", "Additional fields", 0),
	), nil
}

// statusEntityTypes is crm.status.entity.types. Only some directories have all
// keys, and CATEGORY_ID is text in one row and a number in another.
// https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-entity-types.html
func statusEntityTypes(c *rest.Call) (any, error) {
	answer := php.NewArray()
	for _, d := range allDirectories(c.Store) {
		row := value.Object("ID", d.ID, "NAME", d.Name)
		if d.Type != nil {
			describeDirectory(d, row)
		}
		answer.Append(row)
	}
	return answer, nil
}

func describeDirectory(d model.Directory, row *php.Array) {
	deals, cat := d.Type.ID == model.TypeDeal, d.Category
	if deals && cat.ID != 0 {
		row.Set("PARENT_ID", "DEAL_STAGE")
	}
	row.Set("SEMANTIC_INFO", php.NewArray())
	if d.Type.OwnEvents() { // the older types
		row.Set("SEMANTIC_INFO", value.Object("START_FIELD", firstStage(d, ""), "FINAL_SUCCESS_FIELD", firstStage(d, "S"), "FINAL_UNSUCCESS_FIELD", firstStage(d, "F"), "FINAL_SORT", 0))
	}
	if cat.Prefix != "" {
		row.Set("PREFIX", cat.Prefix)
	}
	if deals || cat.Prefix != "" {
		scope := ""
		if cat.ID != 0 {
			scope = fmt.Sprintf("category_%d", cat.ID)
		}
		row.Set("FIELD_ATTRIBUTE_SCOPE", scope)
	}
	row.Set("ENTITY_TYPE_ID", value.FromInt(int64(d.Type.ID)))
	switch {
	case deals && cat.ID != 0:
		row.Set("CATEGORY_ID", strconv.FormatInt(cat.ID, 10))
	case deals:
		row.Set("CATEGORY_ID", value.FromInt(0))
	case cat.Prefix != "":
		row.Set("IS_ENABLED", true)
		row.Set("CATEGORY_ID", value.FromInt(cat.ID))
	}
	if d.Type.Dynamic != nil {
		row.Set("CATEGORY_NAME", cat.Name)
		row.Set("CATEGORY_SORT", value.FromInt(cat.Sort))
		row.Set("IS_DEFAULT_CATEGORY", cat.ByDefault)
	}
}

// firstStage is the first stage with a meaning, of all with "".
func firstStage(d model.Directory, semantics string) string {
	for _, st := range d.Entries {
		if semantics == "" || st.Semantics == semantics {
			return st.ID
		}
	}
	return ""
}

// statusEntityItems is crm.status.entity.items. SORT is a number there.
func statusEntityItems(c *rest.Call) (any, error) {
	id := value.Text(c.Param("ENTITYID"))
	for _, d := range allDirectories(c.Store) {
		if d.ID == id {
			return shortStages(d.Entries), nil
		}
	}
	return nil, rest.Fail("The parameter entityId is not defined or invalid.", "The directory ID is not specified or is incorrect.")
}

func shortStages(stages []model.Stage) *php.Array {
	answer := php.NewArray()
	for _, st := range stages {
		answer.Append(value.Object("NAME", st.Name, "SORT", st.Sort, "STATUS_ID", st.ID))
	}
	return answer
}
