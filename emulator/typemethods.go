package emulator

import (
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func typeMethods() []method {
	return []method{
		{name: "crm.type.list", scope: "crm", run: adminOnly(typeList)},
		{name: "crm.type.get", scope: "crm", run: typeGet},
		{name: "crm.type.getByEntityTypeId", scope: "crm", run: typeByEntityTypeID},
		{name: "crm.type.add", scope: "crm", run: adminOnly(typeAdd)},
		{name: "crm.type.update", scope: "crm", run: adminOnly(typeUpdate)},
		{name: "crm.type.delete", scope: "crm", run: adminOnly(typeDelete)},
		{name: "crm.type.fields", scope: "crm", run: adminOnly(typeFields)},
	}
}

// typeColumns are what crm.type.list filters and orders by.
func typeColumns() []query.Column[*entityType] {
	columns := []query.Column[*entityType]{
		query.NewColumn("id", query.Int, func(t *entityType) any { return int64(t.dynamic.ID) }),
		query.NewColumn("title", query.Text, func(t *entityType) any { return t.title }),
		query.NewColumn("code", query.Text, func(*entityType) any { return "" }),
		query.NewColumn("createdBy", query.Int, func(*entityType) any { return int64(1) }),
		query.NewColumn("entityTypeId", query.Int, func(t *entityType) any { return int64(t.id) }),
		query.NewColumn("createdTime", query.Time, func(t *entityType) any { return t.created }),
		query.NewColumn("updatedTime", query.Time, func(t *entityType) any { return t.updated }),
		query.NewColumn("updatedBy", query.Int, func(*entityType) any { return int64(1) }),
	}
	for _, sw := range typeSwitches() {
		columns = append(columns, query.NewColumn(sw.name, query.Bool, func(t *entityType) any { return sw.of(t) }))
	}
	return columns
}

// typeJSON is a smart process as crm.type.list shows it.
func typeJSON(s *store, t *entityType) *php.Array {
	a := value.Object("id", t.dynamic.ID, "title", t.title, "code", "", "createdBy", 1, "entityTypeId", t.id, "customSectionId", nil)
	for _, sw := range typeSwitches() {
		a.Set(sw.name, value.YesNo(sw.of(t)))
	}
	a.Set("createdTime", s.zone.Stamp(t.created))
	a.Set("updatedTime", s.zone.Stamp(t.updated))
	a.Set("updatedBy", value.FromInt(1))
	return a
}

// wholeTypeJSON has the relations too, as all other methods show them.
func wholeTypeJSON(s *store, t *entityType) *php.Array {
	a := typeJSON(s, t)
	parents, children := php.NewArray(), php.NewArray()
	if t.dynamic.Clients {
		// Contacts and companies are linked to by the field of the client.
		parents.Append(value.Object("entityTypeId", typeContact, "isChildrenListEnabled", "Y", "isPredefined", "Y"))
		parents.Append(value.Object("entityTypeId", typeCompany, "isChildrenListEnabled", "Y", "isPredefined", "Y"))
	}
	for _, r := range s.relations {
		switch t.id {
		case r.child:
			parents.Append(value.Object("entityTypeId", r.parent, "isChildrenListEnabled", value.YesNo(r.listed), "isPredefined", "N"))
		case r.parent:
			children.Append(value.Object("entityTypeId", r.child, "isChildrenListEnabled", value.YesNo(r.listed), "isPredefined", "N"))
		}
	}
	a.Set("relations", value.Object("parent", parents, "child", children))
	linked := php.NewArray()
	for _, name := range linkedUserFields {
		linked.Set(name, value.YesNo(t.linked[name]))
	}
	a.Set("linkedUserFields", linked)
	a.Set("customSections", php.NewArray())
	return value.Object("type", a)
}

// typeList is crm.type.list. It shows smart processes only.
func typeList(c *call) (any, error) {
	found, err := selectRows(c, c.store().dynamicTypes(), typeColumns())
	if err != nil {
		return nil, err
	}
	types := php.NewArray()
	for _, t := range found {
		types.Append(typeJSON(c.store(), t))
	}
	return value.Object("types", types), nil
}

// noType is the error for a smart process that is not there. Its code is the
// number 0.
func noType() error {
	return noCode("Smart process not found")
}

// typeOf finds the smart process that a call names by its own id.
func typeOf(c *call) (*entityType, error) {
	id, err := c.intParam("id")
	if err != nil {
		return nil, err
	}
	for _, t := range c.store().dynamicTypes() {
		if int64(t.dynamic.ID) == id {
			return t, nil
		}
	}
	return nil, noType()
}

func typeGet(c *call) (any, error) {
	t, err := typeOf(c)
	if err != nil {
		return nil, err
	}
	return wholeTypeJSON(c.store(), t), nil
}

func typeByEntityTypeID(c *call) (any, error) {
	id, err := c.intParam("entityTypeId")
	if err != nil {
		return nil, err
	}
	t := c.store().types[int(id)]
	if t == nil || t.dynamic == nil {
		return nil, noType()
	}
	return wholeTypeJSON(c.store(), t), nil
}

// typeAdd is crm.type.add.
// https://apidocs.bitrix24.com/api-reference/crm/universal/user-defined-object-types/crm-type-add.html
func typeAdd(c *call) (any, error) {
	fields, ok := value.Array(c.param("fields"))
	if !ok {
		return nil, c.wrongType("fields", "array")
	}
	s := c.store()
	def := Type{NoStages: true} // everything is off unless the call switches it on
	if v, ok := fields.Get("entityTypeId"); ok && !value.IsEmpty(v) {
		def.EntityTypeID = int(value.Int(v))
		switch id := def.EntityTypeID; {
		case (id < firstDynamicType || id > 192) && (id < 1030 || id%2 != 0):
			return nil, fail("INVALID_ARG_VALUE", "entityTypeId is out of allowed range")
		case s.types[id] != nil:
			return nil, fail("INVALID_ARG_VALUE", "entityTypeId is taken by another type")
		}
	}
	if title, _ := fields.Get("title"); value.IsEmpty(title) {
		return nil, noCode("Field 'TITLE' is required")
	}
	if err := checkWorkplace(fields); err != nil {
		return nil, err
	}
	t := s.types[s.addType(def, c.now)]
	readType(t, fields)
	s.rebuild(t)
	readRelations(s, t, fields)
	fireType(c, t, opAdd)
	return wholeTypeJSON(s, t), nil
}

// checkWorkplace wants the workplace of a smart process outside the CRM. Workplaces
// are not emulated.
func checkWorkplace(fields *php.Array) error {
	external, _ := fields.Get("isExternal")
	section, _ := fields.Get("customSectionId")
	if value.IsYes(external) && value.IsEmpty(section) {
		return noCode("Select a workplace where the SPA will be located")
	}
	return nil
}

// typeUpdate is crm.type.update.
func typeUpdate(c *call) (any, error) {
	t, err := typeOf(c)
	if err != nil {
		return nil, err
	}
	fields, err := c.arrayParam("fields")
	if err != nil {
		return nil, err
	}
	if err := checkWorkplace(fields); err != nil {
		return nil, err
	}
	s := c.store()
	readType(t, fields)
	t.updated = c.savedAt()
	s.rebuild(t)
	readRelations(s, t, fields)
	fireType(c, t, opUpdate)
	return wholeTypeJSON(s, t), nil
}

// typeDelete is crm.type.delete. A type that has items stays.
func typeDelete(c *call) (any, error) {
	t, err := typeOf(c)
	if err != nil {
		return nil, err
	}
	s := c.store()
	if len(s.table(t.id).order) > 0 {
		return nil, fail("BX_ERROR", "You cannot delete an entity type that has elements")
	}
	s.relate(t.id, nil, nil)
	delete(s.types, t.id)
	delete(s.items, t.id)
	c.p.forgetType(t.id)
	fireType(c, t, opDelete)
	return php.NewArray(), nil
}

// typeFields is crm.type.fields.
func typeFields(*call) (any, error) {
	described := php.NewArray()
	add := func(name, typ, title string, set flags) {
		f := &field{name: name, typ: typ, title: title, flags: set}
		d := describeField(f, nil)
		d.Set("upperName", name)
		described.Set(value.CamelName(name), d)
	}
	add("ID", "integer", "ID", readOnly)
	add("TITLE", "string", "Title", required)
	add("CODE", "string", "Symbolic code", 0)
	add("CREATED_BY", "user", "Created by", readOnly)
	add("ENTITY_TYPE_ID", "integer", "Entity type", required|immutable)
	add("CUSTOM_SECTION_ID", "integer", "Digital workplace", immutable)
	for _, sw := range typeSwitches() {
		if !sw.undescribed {
			add(value.UpperName(sw.name), "boolean", sw.name, 0)
		}
	}
	add("CREATED_TIME", "datetime", "Created on", 0)
	add("UPDATED_TIME", "datetime", "Modified on", 0)
	add("UPDATED_BY", "user", "Modified by", readOnly)
	return value.Object("fields", described), nil
}

// typeSwitch is a switch of a smart process.
type typeSwitch struct {
	name        string
	undescribed bool // crm.type.fields leaves it out, and nothing writes it
	byDefault   bool // of those that change nothing here
	get         func(*Type) bool
	set         func(*Type, bool)
}

func (sw typeSwitch) of(t *entityType) bool {
	if sw.get != nil {
		return sw.get(t.dynamic)
	}
	if on, ok := t.switches[sw.name]; ok {
		return on
	}
	return sw.byDefault
}

func (sw typeSwitch) put(t *entityType, on bool) {
	if sw.set != nil {
		sw.set(t.dynamic, on)
		return
	}
	t.switches[sw.name] = on
}

// inUserField is the switch that lets custom fields link to a smart process.
const inUserField = "isUseInUserfieldEnabled"

// typeSwitches are those of the documented answers, in their order.
func typeSwitches() []typeSwitch {
	flag := func(name string, at func(*Type) *bool) typeSwitch {
		return typeSwitch{name: name, get: func(t *Type) bool { return *at(t) }, set: func(t *Type, on bool) { *at(t) = on }}
	}
	return []typeSwitch{
		{name: "isCategoriesEnabled"},
		{
			name: "isStagesEnabled",
			get:  func(t *Type) bool { return !t.NoStages }, set: func(t *Type, on bool) { t.NoStages = !on },
		},
		flag("isBeginCloseDatesEnabled", func(t *Type) *bool { return &t.Dates }),
		flag("isClientEnabled", func(t *Type) *bool { return &t.Clients }),
		{name: inUserField},
		flag("isLinkWithProductsEnabled", func(t *Type) *bool { return &t.Products }),
		flag("isMycompanyEnabled", func(t *Type) *bool { return &t.OwnCompany }),
		{name: "isDocumentsEnabled"},
		flag("isSourceEnabled", func(t *Type) *bool { return &t.Sources }),
		flag("isObserversEnabled", func(t *Type) *bool { return &t.Observers }),
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
func readType(t *entityType, fields *php.Array) {
	if v, ok := fields.Get("title"); ok && !value.IsEmpty(v) {
		t.dynamic.Title = value.Text(v)
	}
	for _, sw := range typeSwitches() {
		if v, ok := fields.Get(sw.name); ok && !sw.undescribed {
			sw.put(t, value.IsYes(v))
		}
	}
	// Where it is shown only counts for one that may be shown in custom fields.
	v, _ := fields.Get("linkedUserFields")
	if linked, ok := value.Array(v); ok && t.switches[inUserField] {
		t.linked = map[string]bool{}
		for name, on := range linked.All() {
			t.linked[name] = on == "true" || on == true
		}
	}
}

// readRelations takes fields[relations], which replaces all relations of a type.
func readRelations(s *store, t *entityType, fields *php.Array) {
	v, _ := fields.Get("relations")
	given, ok := value.Array(v)
	if !ok {
		return
	}
	side := func(name string) []relation {
		v, _ := given.Get(name)
		entries, _ := value.Array(v)
		var found []relation
		for _, v := range entries.All() {
			entry, _ := value.Array(v)
			id, _ := entry.Get("entityTypeId")
			listed, _ := entry.Get("isChildrenListEnabled")
			r := relation{parent: t.id, child: t.id, listed: listed == "true" || listed == true}
			if name == "parent" {
				r.parent = int(value.Int(id))
			} else {
				r.child = int(value.Int(id))
			}
			if s.types[r.parent] != nil && s.types[r.child] != nil && r.parent != r.child {
				found = append(found, r)
			}
		}
		return found
	}
	s.relate(t.id, side("parent"), side("child"))
}
