// Package model is the data of an emulated portal: types, items, product rows, lists, users and their fields.
//
// It knows no REST request and no answer. Legacy and universal methods read and
// write the same data. Nothing in it is safe for concurrent use: the portal holds
// one lock for all of it.
package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Store is the portal's data. Legacy and universal methods look at the same.
type Store struct {
	Zone      value.Zone
	Types     map[int]*EntityType
	Items     map[int]*itemTable
	Rows      map[Owner][]*Row
	RowsByID  map[int64]*Row
	Lists     map[int64]*IBlock
	Users     map[int64]*User
	Relations []Relation
	// Directories are those that hold no stages.
	Directories   []Directory
	Comments      []*Comment
	Notifications []Notification
	counters      map[string]int64
}

// Owner is an item that product rows belong to.
type Owner struct {
	EntityTypeID int
	ID           int64
}

// Item is a lead, a deal, an invoice, an item of a smart process and so on.
// values holds what kind says, by stored name; null is absent or nil.
type Item struct {
	ID     int64
	Type   *EntityType
	Values map[string]any
	// LinkSort holds the SORT of linked contacts or companies that were given
	// one, by their ids.
	LinkSort map[int64]int64
}

// itemTable keeps the items of a type in the order of their ids.
type itemTable struct {
	ByID map[int64]*Item
	all  []*Item
}

func NewStore(zone value.Zone) Store {
	s := Store{
		Zone: zone, Users: map[int64]*User{}, Types: map[int]*EntityType{}, Items: map[int]*itemTable{}, Rows: map[Owner][]*Row{},
		RowsByID: map[int64]*Row{}, Lists: map[int64]*IBlock{}, counters: map[string]int64{},
	}
	s.Directories = s.NewDirectories()
	for _, t := range s.builtinTypes(time.Now().In(zone.Location)) {
		s.Types[t.ID] = t
	}
	return s
}

// Next counts: each counter starts with 1.
func (s *Store) Next(counter string) int64 {
	s.counters[counter]++
	return s.counters[counter]
}

// NextID makes a counter give an id next. Ids only grow.
func (s *Store) NextID(counter string, id int64) error {
	if last := s.counters[counter]; id <= last {
		return fmt.Errorf("the id %d is behind %d, which was given already", id, last)
	}
	s.Reserve(counter, id-1)
	return nil
}

// Reserve makes a counter continue after n.
func (s *Store) Reserve(counter string, n int64) { s.counters[counter] = max(s.counters[counter], n) }

func (s *Store) Table(entityTypeID int) *itemTable {
	t := s.Items[entityTypeID]
	if t == nil {
		t = &itemTable{ByID: map[int64]*Item{}}
		s.Items[entityTypeID] = t
	}
	return t
}

func (s *Store) Item(entityTypeID int, id int64) *Item {
	return s.Table(entityTypeID).ByID[id]
}

// All returns the items of a type in the order of their ids. The caller does not change
// the slice.
func (t *itemTable) All() []*Item { return t.all }

// After returns the items whose ids are greater than id.
func (t *itemTable) After(id int64) []*Item {
	i, found := t.find(id)
	if found {
		i++
	}
	return t.all[i:]
}

func (t *itemTable) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(t.all, id, func(it *Item, id int64) int { return cmp.Compare(it.ID, id) })
}

func (t *itemTable) Insert(it *Item) {
	t.ByID[it.ID] = it
	t.all = append(t.all, it) // ids only grow
}

func (t *itemTable) Remove(id int64) {
	delete(t.ByID, id)
	if i, found := t.find(id); found {
		t.all = slices.Delete(t.all, i, i+1)
	}
}

func (it *Item) Owner() Owner { return Owner{it.Type.ID, it.ID} }

// Working is a copy of the values that a save may change.
func (it *Item) Working() map[string]any { return maps.Clone(it.Values) }

// Notification is a message to a user in the portal's messenger.
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
