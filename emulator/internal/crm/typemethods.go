package crm

import (
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// TypeMethods are the methods of smart processes. forget receives the entityTypeId of a deleted type.
func TypeMethods(forget func(entityTypeID int)) []rest.Method {
	return []rest.Method{
		{Name: "crm.type.list", Scope: "crm", Run: rest.AdminOnly(typeList)},
		{Name: "crm.type.get", Scope: "crm", Run: typeGet},
		{Name: "crm.type.getByEntityTypeId", Scope: "crm", Run: typeByEntityTypeID},
		{Name: "crm.type.add", Scope: "crm", Run: rest.AdminOnly(typeAdd)},
		{Name: "crm.type.update", Scope: "crm", Run: rest.AdminOnly(typeUpdate)},
		{Name: "crm.type.delete", Scope: "crm", Run: rest.AdminOnly(typeDelete(forget))},
		{Name: "crm.type.fields", Scope: "crm", Run: rest.AdminOnly(typeFields)},
	}
}

// typeColumns are what crm.type.list filters and orders by.
func typeColumns() []query.Column[*model.EntityType] {
	columns := []query.Column[*model.EntityType]{
		query.NewColumn("id", query.Int, func(t *model.EntityType) any { return int64(t.Dynamic.ID) }),
		query.NewColumn("title", query.Text, func(t *model.EntityType) any { return t.Title }),
		query.NewColumn("code", query.Text, func(*model.EntityType) any { return "" }),
		query.NewColumn("createdBy", query.Int, func(*model.EntityType) any { return int64(1) }),
		query.NewColumn("entityTypeId", query.Int, func(t *model.EntityType) any { return int64(t.ID) }),
		query.NewColumn("createdTime", query.Time, func(t *model.EntityType) any { return t.Created }),
		query.NewColumn("updatedTime", query.Time, func(t *model.EntityType) any { return t.Updated }),
		query.NewColumn("updatedBy", query.Int, func(*model.EntityType) any { return int64(1) }),
	}
	for _, sw := range typeSwitches() {
		columns = append(columns, query.NewColumn(sw.name, query.Bool, func(t *model.EntityType) any { return sw.of(t) }))
	}
	return columns
}

// typeJSON is a smart process as crm.type.list shows it.
func typeJSON(s *model.Store, t *model.EntityType) *php.Array {
	a := value.Object("id", t.Dynamic.ID, "title", t.Title, "code", "", "createdBy", 1, "entityTypeId", t.ID, "customSectionId", nil)
	for _, sw := range typeSwitches() {
		a.Set(sw.name, value.YesNo(sw.of(t)))
	}
	a.Set("createdTime", s.Zone.Stamp(t.Created))
	a.Set("updatedTime", s.Zone.Stamp(t.Updated))
	a.Set("updatedBy", value.FromInt(1))
	return a
}

// wholeTypeJSON has the relations too, as all other methods show them.
func wholeTypeJSON(s *model.Store, t *model.EntityType) *php.Array {
	a := typeJSON(s, t)
	parents, children := php.NewArray(), php.NewArray()
	if t.Dynamic.Clients {
		// Contacts and companies are linked to by the field of the client.
		parents.Append(value.Object("entityTypeId", model.TypeContact, "isChildrenListEnabled", "Y", "isPredefined", "Y"))
		parents.Append(value.Object("entityTypeId", model.TypeCompany, "isChildrenListEnabled", "Y", "isPredefined", "Y"))
	}
	for _, r := range s.Relations {
		switch t.ID {
		case r.Child:
			parents.Append(value.Object("entityTypeId", r.Parent, "isChildrenListEnabled", value.YesNo(r.Listed), "isPredefined", "N"))
		case r.Parent:
			children.Append(value.Object("entityTypeId", r.Child, "isChildrenListEnabled", value.YesNo(r.Listed), "isPredefined", "N"))
		}
	}
	a.Set("relations", value.Object("parent", parents, "child", children))
	linked := php.NewArray()
	for _, name := range linkedUserFields {
		linked.Set(name, value.YesNo(t.Linked[name]))
	}
	a.Set("linkedUserFields", linked)
	a.Set("customSections", php.NewArray())
	return value.Object("type", a)
}

// typeList is crm.type.list. It shows smart processes only.
func typeList(c *rest.Call) (any, error) {
	found, err := rest.SelectRows(c, c.Store.DynamicTypes(), typeColumns())
	if err != nil {
		return nil, err
	}
	types := php.NewArray()
	for _, t := range found {
		types.Append(typeJSON(c.Store, t))
	}
	return value.Object("types", types), nil
}

// noType is the error for a smart process that is not there. Its code is the
// number 0.
func noType() error {
	return rest.FailNoCode("Smart process not found")
}

// typeOf finds the smart process that a call names by its own id.
func typeOf(c *rest.Call) (*model.EntityType, error) {
	id, err := c.IntParam("id")
	if err != nil {
		return nil, err
	}
	for _, t := range c.Store.DynamicTypes() {
		if int64(t.Dynamic.ID) == id {
			return t, nil
		}
	}
	return nil, noType()
}

func typeGet(c *rest.Call) (any, error) {
	t, err := typeOf(c)
	if err != nil {
		return nil, err
	}
	return wholeTypeJSON(c.Store, t), nil
}

func typeByEntityTypeID(c *rest.Call) (any, error) {
	id, err := c.IntParam("entityTypeId")
	if err != nil {
		return nil, err
	}
	t := c.Store.Types[int(id)]
	if t == nil || t.Dynamic == nil {
		return nil, noType()
	}
	return wholeTypeJSON(c.Store, t), nil
}

// typeAdd is crm.type.add.
// https://apidocs.bitrix24.com/api-reference/crm/universal/user-defined-object-types/crm-type-add.html
func typeAdd(c *rest.Call) (any, error) {
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	s := c.Store
	def := model.Type{NoStages: true} // everything is off unless the call switches it on
	if v, ok := fields.Get("entityTypeId"); ok && !value.IsEmpty(v) {
		def.EntityTypeID = int(value.Int(v))
		switch id := def.EntityTypeID; {
		case (id < model.FirstDynamicType || id > 192) && (id < 1030 || id%2 != 0):
			return nil, rest.Fail("INVALID_ARG_VALUE", "entityTypeId is out of allowed range")
		case s.Types[id] != nil:
			return nil, rest.Fail("INVALID_ARG_VALUE", "entityTypeId is taken by another type")
		}
	}
	if title, _ := fields.Get("title"); value.IsEmpty(title) {
		return nil, rest.FailNoCode("Field 'TITLE' is required")
	}
	if err := checkWorkplace(fields); err != nil {
		return nil, err
	}
	t := s.Types[s.AddType(def, c.Now)]
	readType(t, fields)
	s.Rebuild(t)
	readRelations(s, t, fields)
	fireType(c, t, rest.OpAdd)
	return wholeTypeJSON(s, t), nil
}

// checkWorkplace checks that a smart process outside the CRM has a workplace. Workplaces
// are not emulated.
func checkWorkplace(fields *php.Array) error {
	external, _ := fields.Get("isExternal")
	section, _ := fields.Get("customSectionId")
	if value.IsYes(external) && value.IsEmpty(section) {
		return rest.FailNoCode("Select a workplace where the SPA will be located")
	}
	return nil
}

// typeUpdate is crm.type.update.
func typeUpdate(c *rest.Call) (any, error) {
	t, err := typeOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := c.ArrayParam("fields")
	if err != nil {
		return nil, err
	}
	if err := checkWorkplace(fields); err != nil {
		return nil, err
	}
	s := c.Store
	readType(t, fields)
	t.Updated = c.SavedAt()
	s.Rebuild(t)
	readRelations(s, t, fields)
	fireType(c, t, rest.OpUpdate)
	return wholeTypeJSON(s, t), nil
}

// typeDelete is crm.type.delete. A type that has items stays.
func typeDelete(forget func(entityTypeID int)) rest.Handler {
	return func(c *rest.Call) (any, error) {
		t, err := typeOf(c)
		if err != nil {
			return nil, err
		}
		s := c.Store
		if len(s.Table(t.ID).All()) > 0 {
			return nil, rest.Fail("BX_ERROR", "You cannot delete an entity type that has elements")
		}
		s.SetRelations(t.ID, nil, nil)
		delete(s.Types, t.ID)
		delete(s.Items, t.ID)
		forget(t.ID)
		fireType(c, t, rest.OpDelete)
		return php.NewArray(), nil
	}
}

// typeFields is crm.type.fields.
func typeFields(*rest.Call) (any, error) {
	described := php.NewArray()
	add := func(name, typ, title string, set model.Flags) {
		f := &model.Field{Name: name, Type: typ, Title: title, Flags: set}
		d := describeField(f, nil)
		d.Set("upperName", name)
		described.Set(value.CamelName(name), d)
	}
	add("ID", "integer", "ID", model.ReadOnly)
	add("TITLE", "string", "Title", model.Required)
	add("CODE", "string", "Symbolic code", 0)
	add("CREATED_BY", "user", "Created by", model.ReadOnly)
	add("ENTITY_TYPE_ID", "integer", "Entity type", model.Required|model.Immutable)
	add("CUSTOM_SECTION_ID", "integer", "Digital workplace", model.Immutable)
	for _, sw := range typeSwitches() {
		if !sw.undescribed {
			add(value.UpperName(sw.name), "boolean", sw.name, 0)
		}
	}
	add("CREATED_TIME", "datetime", "Created on", 0)
	add("UPDATED_TIME", "datetime", "Modified on", 0)
	add("UPDATED_BY", "user", "Modified by", model.ReadOnly)
	return value.Object("fields", described), nil
}

// typeSwitch is a switch of a smart process.
type typeSwitch struct {
	name        string
	undescribed bool // crm.type.fields omits it, and nothing writes it
	byDefault   bool // of those that change nothing here
	get         func(*model.Type) bool
	set         func(*model.Type, bool)
}

func (sw typeSwitch) of(t *model.EntityType) bool {
	if sw.get != nil {
		return sw.get(t.Dynamic)
	}
	if on, ok := t.Switches[sw.name]; ok {
		return on
	}
	return sw.byDefault
}

func (sw typeSwitch) put(t *model.EntityType, on bool) {
	if sw.set != nil {
		sw.set(t.Dynamic, on)
		return
	}
	t.Switches[sw.name] = on
}

// inUserField is the switch that lets custom fields link to a smart process.
const inUserField = "isUseInUserfieldEnabled"

// typeSwitches are those of the documented answers, in their order.
func typeSwitches() []typeSwitch {
	flag := func(name string, at func(*model.Type) *bool) typeSwitch {
		return typeSwitch{name: name, get: func(t *model.Type) bool { return *at(t) }, set: func(t *model.Type, on bool) { *at(t) = on }}
	}
	return []typeSwitch{
		{name: "isCategoriesEnabled"},
		{
			name: "isStagesEnabled",
			get:  func(t *model.Type) bool { return !t.NoStages }, set: func(t *model.Type, on bool) { t.NoStages = !on },
		},
		flag("isBeginCloseDatesEnabled", func(t *model.Type) *bool { return &t.Dates }),
		flag("isClientEnabled", func(t *model.Type) *bool { return &t.Clients }),
		{name: inUserField},
		flag("isLinkWithProductsEnabled", func(t *model.Type) *bool { return &t.Products }),
		flag("isMycompanyEnabled", func(t *model.Type) *bool { return &t.OwnCompany }),
		{name: "isDocumentsEnabled"},
		flag("isSourceEnabled", func(t *model.Type) *bool { return &t.Sources }),
		flag("isObserversEnabled", func(t *model.Type) *bool { return &t.Observers }),
		{name: "isRecyclebinEnabled"},
		{name: "isAutomationEnabled"},
		{name: "isBizProcEnabled"},
		{name: "isSetOpenPermissions", byDefault: true},
		{name: "isPaymentsEnabled", undescribed: true},
		{name: "isCountersEnabled", undescribed: true},
	}
}

// linkedUserFields are the fields outside the CRM that a smart process can be
// shown in.
var linkedUserFields = [...]string{"CALENDAR_EVENT|UF_CRM_CAL_EVENT", "TASKS_TASK|UF_CRM_TASK", "TASKS_TASK_TEMPLATE|UF_CRM_TASK"}

// readType takes the fields of crm.type.add and crm.type.update. Switches are Y and
// N; the flags inside linkedUserFields and relations only know "true" and
// "false".
func readType(t *model.EntityType, fields *php.Array) {
	if v, ok := fields.Get("title"); ok && !value.IsEmpty(v) {
		t.Dynamic.Title = value.Text(v)
	}
	for _, sw := range typeSwitches() {
		if v, ok := fields.Get(sw.name); ok && !sw.undescribed {
			sw.put(t, value.IsYes(v))
		}
	}
	// Where it is shown only counts for one that may be shown in custom fields.
	v, _ := fields.Get("linkedUserFields")
	if linked, ok := value.Array(v); ok && t.Switches[inUserField] {
		t.Linked = map[string]bool{}
		for name, on := range linked.All() {
			t.Linked[name] = on == "true" || on == true
		}
	}
}

// readRelations takes fields[relations], which replaces all relations of a type.
func readRelations(s *model.Store, t *model.EntityType, fields *php.Array) {
	v, _ := fields.Get("relations")
	given, ok := value.Array(v)
	if !ok {
		return
	}
	side := func(name string) []model.Relation {
		v, _ := given.Get(name)
		entries, _ := value.Array(v)
		var found []model.Relation
		for _, v := range entries.All() {
			entry, _ := value.Array(v)
			id, _ := entry.Get("entityTypeId")
			listed, _ := entry.Get("isChildrenListEnabled")
			r := model.Relation{Parent: t.ID, Child: t.ID, Listed: listed == "true" || listed == true}
			if name == "parent" {
				r.Parent = int(value.Int(id))
			} else {
				r.Child = int(value.Int(id))
			}
			if s.Types[r.Parent] != nil && s.Types[r.Child] != nil && r.Parent != r.Child {
				found = append(found, r)
			}
		}
		return found
	}
	s.SetRelations(t.ID, side("parent"), side("child"))
}
