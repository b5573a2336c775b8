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
	typeDeal         = 2
	typeOldInvoice   = 5
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
	title      string
	name       string // what an item without a title is called
	fields     *fieldSet
	categories []*category
	rows       bool  // may have product rows
	dynamic    *Type // nil unless it is a smart process
	created    time.Time
}

// category is a pipeline.
type category struct {
	id     int64
	stages []stage
}

// stage is a stage of a pipeline: its semantics are P, S or F.
type stage struct{ id, semantics string }

func (t *entityType) category(id int64) *category {
	for _, c := range t.categories {
		if c.id == id {
			return c
		}
	}
	return nil
}

// stage finds a stage in a pipeline.
func (c *category) stage(id string) (stage, bool) {
	i := slices.IndexFunc(c.stages, func(s stage) bool { return s.id == id })
	if i < 0 {
		return stage{}, false
	}
	return c.stages[i], true
}

// statusDirectory names the directory of a status field.
func (t *entityType) statusDirectory(directory string) string {
	if directory != stageDirectory {
		return directory
	}
	category := t.categories[0].id
	switch {
	case t.id == typeDeal:
		return "DEAL_STAGE"
	case t.id == typeSmartInvoice:
		return fmt.Sprintf("SMART_INVOICE_STAGE_%d", category)
	}
	return fmt.Sprintf("DYNAMIC_%d_STAGE_%d", t.id, category)
}

// newCategory makes a pipeline whose stages' ids have a prefix.
func newCategory(id int64, prefix string, stages ...stage) *category {
	c := &category{id: id}
	for _, s := range stages {
		c.stages = append(c.stages, stage{id: prefix + s.id, semantics: s.semantics})
	}
	return c
}

// dealCategory makes a pipeline of deals. Stage ids of the first one, 0, have no
// prefix; those of pipeline 9 are C9:NEW and so on.
func dealCategory(id int64) *category {
	prefix := ""
	if id != 0 {
		prefix = fmt.Sprintf("C%d:", id)
	}
	return newCategory(id, prefix,
		stage{"NEW", "P"}, stage{"PREPARATION", "P"}, stage{"PREPAYMENT_INVOICE", "P"}, stage{"EXECUTING", "P"},
		stage{"FINAL_INVOICE", "P"}, stage{"WON", "S"}, stage{"LOSE", "F"}, stage{"APOLOGY", "F"})
}

func dealType(now time.Time) *entityType {
	return &entityType{
		id: typeDeal, short: "D", title: "Deal", name: "Deal", rows: true, created: now,
		fields: newFieldSet(dealFields()), categories: []*category{dealCategory(0)},
	}
}

func invoiceType(now time.Time, categoryID int64) *entityType {
	return &entityType{
		id: typeSmartInvoice, short: "SI", title: "Invoice", name: "Invoice", rows: true, created: now,
		fields: newFieldSet(invoiceFields()),
		categories: []*category{newCategory(categoryID, fmt.Sprintf("DT31_%d:", categoryID),
			stage{"N", "P"}, stage{"S", "P"}, stage{"P", "S"}, stage{"D", "F"})},
	}
}

// AddType sets up a smart process and returns its entityTypeId. A type that
// exists already is replaced; its items stay.
func (p *Portal) AddType(t Type) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.addType(t, time.Now())
}

// AddDealCategory sets up one more pipeline of deals and returns its id.
func (p *Portal) AddDealCategory() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	deals := p.store.types[typeDeal]
	id := len(deals.categories)
	deals.categories = append(deals.categories, dealCategory(int64(id)))
	return id
}

// AddUserField gives a type of items one more custom field: 2 deals, 31 smart
// invoices, or a smart process.
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
	categoryID := s.next("category")
	t := &entityType{
		id: def.EntityTypeID, short: "T" + strconv.FormatInt(int64(def.EntityTypeID), 16),
		title: def.Title, name: def.Title, rows: def.Products, dynamic: &def, created: now.In(s.zone),
		fields: newFieldSet(dynamicFields(def)),
		categories: []*category{newCategory(categoryID, fmt.Sprintf("DT%d_%d:", def.EntityTypeID, categoryID),
			stage{"NEW", "P"}, stage{"PREPARATION", "P"}, stage{"CLIENT", "P"}, stage{"SUCCESS", "S"}, stage{"FAIL", "F"})},
	}
	for _, f := range def.Fields {
		t.fields.add(s.userField(f))
	}
	if old := s.types[t.id]; old != nil {
		for _, it := range s.table(t.id).byID {
			it.typ = t
		}
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
