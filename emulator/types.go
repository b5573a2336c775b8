package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
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
