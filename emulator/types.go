package emulator

import (
	"fmt"
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
	id         int
	short      string // D, SI, T80: the owner type of product rows
	code       string // DEAL, SMART_INVOICE, DYNAMIC_128
	title      string // and what an item without a title is called
	fields     *fieldSet
	defaults   map[string]any // what a new item holds that is not given
	categories []*category
	pipelines  bool  // crm.category.* serves it
	rows       bool  // may have product rows
	dynamic    *Type // nil unless it is a smart process
	created    time.Time
}

// ownEvents tells whether the type has events of its own name, such as
// ONCRMDEALADD; the others share ONCRMDYNAMICITEMADD.
func (t *entityType) ownEvents() bool { return t.id < typeSmartInvoice }

// AddType sets up a smart process and returns its entityTypeId. A type that
// exists already is replaced; its items stay.
func (p *Portal) AddType(t Type) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.addType(t, time.Now())
}

// AddUserField gives a type of items one more custom field: 1 leads, 2 deals, 3
// contacts, 4 companies, 7 estimates, 31 smart invoices, or a smart process.
func (p *Portal) AddUserField(entityTypeID int, f UserField) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.store.types[entityTypeID]
	if t == nil {
		return fmt.Errorf("there is no type %d: add it with AddType first", entityTypeID)
	}
	if t.fields.byName[strings.ToUpper(f.Name)] != nil {
		return fmt.Errorf("type %d has a field %s already", entityTypeID, f.Name)
	}
	t.fields.add(p.store.userField(f))
	return nil
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
	t := &entityType{
		id: def.EntityTypeID, short: "T" + strconv.FormatInt(int64(def.EntityTypeID), 16),
		code: "DYNAMIC_" + strconv.Itoa(def.EntityTypeID), title: def.Title, rows: def.Products, pipelines: true,
		dynamic: &def, created: now.In(s.zone), defaults: map[string]any{"SOURCE_ID": "CALL"},
		fields: newFieldSet(dynamicFields(def)),
	}
	for _, f := range def.Fields {
		t.fields.add(s.userField(f))
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
	s.types[t.id] = t
	return t.id
}

// userField completes a custom field's definition.
func (s *store) userField(u UserField) *field {
	u.Type, u.Title = textOr(u.Type, "string"), textOr(u.Title, u.Name)
	if u.Type == "double" && u.Precision == 0 {
		u.Precision = 4
	}
	u.options = nil
	for i, text := range u.Options {
		u.options = append(u.options, option{id: s.next("userOption"), value: text, sort: int64(i+1) * 10})
	}
	f := &field{name: strings.ToUpper(u.Name), typ: u.Type, title: u.Title, user: &u}
	if u.Multiple {
		f.flags |= multiple
	}
	if u.Required {
		f.flags |= required
	}
	return f
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
