package emulator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// store is the portal's data. Legacy and universal methods look at the same.
type store struct {
	zone      value.Zone
	types     map[int]*entityType
	items     map[int]*itemTable
	rows      map[owner][]*row
	rowsByID  map[int64]*row
	lists     map[int64]*iblock
	users     map[int64]*User
	relations []relation
	// directories are those that hold no stages.
	directories   []directory
	comments      []*comment
	notifications []Notification
	counters      map[string]int64
}

// owner is an item that product rows belong to.
type owner struct {
	entityTypeID int
	id           int64
}

// item is a lead, a deal, an invoice, an item of a smart process and so on.
// values holds what kind says, by stored name; null is absent or nil.
type item struct {
	id     int64
	typ    *entityType
	values map[string]any
	// linkSort holds the SORT of linked contacts or companies that were given
	// one, by their ids.
	linkSort map[int64]int64
}

// itemTable keeps the items of a type in the order of their ids.
type itemTable struct {
	byID  map[int64]*item
	order []int64
}

func newStore(zone value.Zone) store {
	s := store{
		zone: zone, users: map[int64]*User{}, types: map[int]*entityType{}, items: map[int]*itemTable{}, rows: map[owner][]*row{},
		rowsByID: map[int64]*row{}, lists: map[int64]*iblock{}, counters: map[string]int64{},
	}
	s.directories = s.plainDirectories()
	for _, t := range s.builtinTypes(time.Now().In(zone.Location)) {
		s.types[t.id] = t
	}
	return s
}

// next counts: each counter begins with 1.
func (s *store) next(counter string) int64 {
	s.counters[counter]++
	return s.counters[counter]
}

// nextID makes a counter give an id next. Ids only grow.
func (s *store) nextID(counter string, id int64) error {
	if last := s.counters[counter]; id <= last {
		return fmt.Errorf("the id %d is behind %d, which was given already", id, last)
	}
	s.raise(counter, id-1)
	return nil
}

// raise makes a counter go on after n.
func (s *store) raise(counter string, n int64) { s.counters[counter] = max(s.counters[counter], n) }

func (s *store) table(entityTypeID int) *itemTable {
	t := s.items[entityTypeID]
	if t == nil {
		t = &itemTable{byID: map[int64]*item{}}
		s.items[entityTypeID] = t
	}
	return t
}

func (s *store) item(entityTypeID int, id int64) *item {
	return s.table(entityTypeID).byID[id]
}

// all returns the items of a type in the order of their ids.
func (t *itemTable) all() []*item {
	list := make([]*item, 0, len(t.order))
	for _, id := range t.order {
		list = append(list, t.byID[id])
	}
	return list
}

func (t *itemTable) insert(it *item) {
	t.byID[it.id] = it
	t.order = append(t.order, it.id) // ids only grow
}

func (t *itemTable) remove(id int64) {
	delete(t.byID, id)
	if i, found := slices.BinarySearch(t.order, id); found {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

func (it *item) owner() owner { return owner{it.typ.id, it.id} }

// working is a copy of the values that a save may change.
func (it *item) working() map[string]any { return maps.Clone(it.values) }

// Notification is what a user was told in the portal's messenger.
type Notification struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	From   int64     `json:"from,omitempty"` // the author of a personal one
	To     int64     `json:"to"`
	Text   string    `json:"text"`
	Out    string    `json:"out,omitempty"` // for mail
	Tag    string    `json:"tag,omitempty"`
	SubTag string    `json:"sub_tag,omitempty"`
	System bool      `json:"system,omitempty"`
}
