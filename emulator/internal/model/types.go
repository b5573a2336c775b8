package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entity types that every portal has.
const (
	TypeLead         = 1
	TypeDeal         = 2
	TypeContact      = 3
	TypeCompany      = 4
	TypeOldInvoice   = 5
	TypeQuote        = 7
	TypeSmartInvoice = 31
	FirstDynamicType = 128
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

// EntityType is a type of items.
type EntityType struct {
	ID               int
	Short            string // D, SI, T80: the owner type of product rows
	Code             string // DEAL, SMART_INVOICE, DYNAMIC_128
	Title            string // and what an item without a title is called
	Fields           *FieldSet
	Defaults         map[string]any // what a new item holds that is not given
	Categories       []*Category
	Pipelines        bool  // crm.category.* serves it
	Rows             bool  // may have product rows
	Dynamic          *Type // nil unless it is a smart process
	Created, Updated time.Time

	// Of a smart process: switches that change nothing here, where they are not
	// the default, and linkedUserFields.
	Switches, Linked map[string]bool
}

// OwnEvents reports whether events have the name of the type, such as
// ONCRMDEALADD; the others share ONCRMDYNAMICITEMADD.
func (t *EntityType) OwnEvents() bool { return t.ID < TypeSmartInvoice }

// Relation says that items of a type may be parents of another's.
type Relation struct {
	Parent, Child int
	Listed        bool // the parent's card shows its children
}

// SetRelations replaces the relations of a type, and gives and takes the fields
// parentId… that follow from them.
func (s *Store) SetRelations(id int, parents, children []Relation) {
	for _, r := range s.Relations {
		if r.Child == id || r.Parent == id {
			s.Types[r.Child].Fields.remove(parentField(r.Parent, "").Name)
		}
	}
	s.Relations = slices.DeleteFunc(s.Relations, func(r Relation) bool { return r.Child == id || r.Parent == id })
	for _, r := range slices.Concat(parents, children) {
		f := parentField(r.Parent, s.Types[r.Parent].Title)
		if child := s.Types[r.Child]; child.Fields.ByName[f.Name] == nil {
			child.Fields.Add(f)
			s.Relations = append(s.Relations, r)
		}
	}
}

// AddParent lets items of one type be parents of another's, and gives the children the
// field parentId…, unless they have it.
func (s *Store) AddParent(child, parent int) {
	f := parentField(parent, s.Types[parent].Title)
	if t := s.Types[child]; t.Fields.ByName[f.Name] == nil {
		t.Fields.Add(f)
		s.Relations = append(s.Relations, Relation{Parent: parent, Child: child, Listed: true})
	}
}

func (s *Store) AddType(def Type, now time.Time) int {
	if def.EntityTypeID == 0 {
		def.EntityTypeID = 1030
		for s.Types[def.EntityTypeID] != nil {
			def.EntityTypeID += 2
		}
	}
	if def.ID == 0 {
		def.ID = 1
		for slices.ContainsFunc(s.DynamicTypes(), func(t *EntityType) bool { return t.Dynamic.ID == def.ID }) {
			def.ID++
		}
	}
	created := s.Zone.Second(now)
	t := &EntityType{
		ID: def.EntityTypeID, Short: "T" + strconv.FormatInt(int64(def.EntityTypeID), 16),
		Code: "DYNAMIC_" + strconv.Itoa(def.EntityTypeID), Pipelines: true,
		Dynamic: &def, Switches: map[string]bool{}, Created: created, Updated: created, Defaults: map[string]any{"SOURCE_ID": "CALL"},
		Fields: NewFieldSet(nil),
	}
	if old := s.Types[t.ID]; old != nil {
		t.Categories = old.Categories
		for _, it := range s.Table(t.ID).ByID {
			it.Type = t
		}
	} else {
		first := s.DynamicCategory(def.EntityTypeID, "General")
		first.ByDefault = true
		t.Categories = []*Category{first}
	}
	for _, f := range def.Fields {
		t.Fields.Add(s.NewCustomField(f))
	}
	s.Types[t.ID] = t
	s.Rebuild(t)
	var parents []Relation
	for _, id := range def.Parents {
		if s.Types[id] != nil {
			parents = append(parents, Relation{Parent: id, Child: t.ID, Listed: true})
		}
	}
	s.SetRelations(t.ID, parents, nil)
	return t.ID
}

// Rebuild brings the fields of a smart process in line with its switches; the
// custom ones and those of its parents stay.
func (s *Store) Rebuild(t *EntityType) {
	t.Title, t.Rows = t.Dynamic.Title, t.Dynamic.Products
	kept := slices.DeleteFunc(slices.Clone(t.Fields.All), func(f *Field) bool {
		return f.User == nil && !strings.HasPrefix(f.Name, "PARENT_ID_")
	})
	t.Fields = NewFieldSet(dynamicFields(*t.Dynamic))
	for _, f := range kept {
		t.Fields.Add(f)
	}
}

// DynamicTypes are the smart processes, by their own ids.
func (s *Store) DynamicTypes() []*EntityType {
	var all []*EntityType
	for _, t := range s.Types {
		if t.Dynamic != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *EntityType) int { return a.Dynamic.ID - b.Dynamic.ID })
	return all
}
