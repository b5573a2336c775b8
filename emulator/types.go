package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Entity types that every portal has.
const (
	typeLead         = 1
	typeDeal         = 2
	typeContact      = 3
	typeCompany      = 4
	typeOldInvoice   = 5
	typeQuote        = 7
	typeSmartInvoice = 31
	firstDynamicType = 128
)

// Type is a smart process, as a person sets one up in the portal.
type Type struct {
	// EntityTypeID is 128 to 192, or an even number from 1030 on. 0 takes the
	// next free one.
	EntityTypeID int
	// ID is the number of the type itself, which its custom fields' names
	// hold: UF_CRM_5_TOTAL. 0 takes the next free one.
	ID int
	// Title is the name.
	Title string
	// Fields are its custom fields.
	Fields []UserField
	// NoStages switches the stages off.
	NoStages bool
	// Products switches product rows and the amount on.
	Products bool
	// Clients, Dates, OwnCompany, Sources and Observers switch the fields of
	// these names on.
	Clients, Dates, OwnCompany, Sources, Observers bool
	// Parents are the types whose items may be parents: parentId2 is a deal.
	Parents []int
}

// entityType is a type of items.
type entityType struct {
	id               int
	short            string // D, SI, T80: the owner type of product rows
	code             string // DEAL, SMART_INVOICE, DYNAMIC_128
	title            string // and what an item without a title is called
	fields           *fieldSet
	defaults         map[string]any // what a new item holds that is not given
	categories       []*category
	pipelines        bool  // crm.category.* serves it
	rows             bool  // may have product rows
	dynamic          *Type // nil unless it is a smart process
	created, updated time.Time

	// Of a smart process: switches that change nothing here, where they are not
	// the default, and linkedUserFields.
	switches, linked map[string]bool
}

// ownEvents tells whether the type has events of its own name, such as
// ONCRMDEALADD; the others share ONCRMDYNAMICITEMADD.
func (t *entityType) ownEvents() bool { return t.id < typeSmartInvoice }

// relation says that items of a type may be parents of another's.
type relation struct {
	parent, child int
	listed        bool // the parent's card shows its children
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

// relate replaces the relations of a type, and gives and takes the fields
// parentId… that follow from them.
func (s *store) relate(id int, parents, children []relation) {
	for _, r := range s.relations {
		if r.child == id || r.parent == id {
			s.types[r.child].fields.remove(parentField(r.parent, "").name)
		}
	}
	s.relations = slices.DeleteFunc(s.relations, func(r relation) bool { return r.child == id || r.parent == id })
	for _, r := range slices.Concat(parents, children) {
		f := parentField(r.parent, s.types[r.parent].title)
		if child := s.types[r.child]; child.fields.byName[f.name] == nil {
			child.fields.add(f)
			s.relations = append(s.relations, r)
		}
	}
}

func (s *store) addType(def Type, now time.Time) int {
	if def.EntityTypeID == 0 {
		def.EntityTypeID = 1030
		for s.types[def.EntityTypeID] != nil {
			def.EntityTypeID += 2
		}
	}
	if def.ID == 0 {
		def.ID = 1
		for slices.ContainsFunc(s.dynamicTypes(), func(t *entityType) bool { return t.dynamic.ID == def.ID }) {
			def.ID++
		}
	}
	created := s.zone.Second(now)
	t := &entityType{
		id: def.EntityTypeID, short: "T" + strconv.FormatInt(int64(def.EntityTypeID), 16),
		code: "DYNAMIC_" + strconv.Itoa(def.EntityTypeID), pipelines: true,
		dynamic: &def, switches: map[string]bool{}, created: created, updated: created, defaults: map[string]any{"SOURCE_ID": "CALL"},
		fields: newFieldSet(nil),
	}
	if old := s.types[t.id]; old != nil {
		t.categories = old.categories
		for _, it := range s.table(t.id).byID {
			it.typ = t
		}
	} else {
		first := s.dynamicCategory(def.EntityTypeID, "General")
		first.byDefault = true
		t.categories = []*category{first}
	}
	for _, f := range def.Fields {
		t.fields.add(s.userField(f))
	}
	s.types[t.id] = t
	s.rebuild(t)
	var parents []relation
	for _, id := range def.Parents {
		if s.types[id] != nil {
			parents = append(parents, relation{parent: id, child: t.id, listed: true})
		}
	}
	s.relate(t.id, parents, nil)
	return t.id
}

// rebuild brings the fields of a smart process in line with its switches; the
// custom ones and those of its parents stay.
func (s *store) rebuild(t *entityType) {
	t.title, t.rows = t.dynamic.Title, t.dynamic.Products
	kept := slices.DeleteFunc(slices.Clone(t.fields.all), func(f *field) bool {
		return f.user == nil && !strings.HasPrefix(f.name, "PARENT_ID_")
	})
	t.fields = newFieldSet(dynamicFields(*t.dynamic))
	for _, f := range kept {
		t.fields.add(f)
	}
}

// dynamicTypes are the smart processes, by their own ids.
func (s *store) dynamicTypes() []*entityType {
	var all []*entityType
	for _, t := range s.types {
		if t.dynamic != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *entityType) int { return a.dynamic.ID - b.dynamic.ID })
	return all
}
