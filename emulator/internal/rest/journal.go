package rest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Operations that History names and events end with.
const (
	OpAdd    = "add"
	OpUpdate = "update"
	OpDelete = "delete"
)

// Change is one change of an item or of a list's element.
type Change struct {
	At           time.Time       `json:"at"`
	Op           string          `json:"op"`                       // add, update, delete
	EntityTypeID int             `json:"entity_type_id,omitempty"` // of an item
	IBlockID     int             `json:"iblock_id,omitempty"`      // of an element
	ID           int64           `json:"id"`
	Code         string          `json:"code,omitempty"` // of an element
	Title        string          `json:"title,omitempty"`
	Values       json.RawMessage `json:"values"` // as crm.item.get or lists.element.get show it after the change, or before its deletion
}

// Journal keeps what happened.
type Journal struct {
	Requests, Refused, Batches int64
	Commands, Errors           map[string]int64
	Calls                      ring[*Record]
	Changes                    ring[Change]
	Changed                    int64 // how many changes there were, remembered or not
}

func NewJournal(keepCalls, keepChanges int) Journal {
	return Journal{
		Commands: map[string]int64{}, Errors: map[string]int64{},
		Calls: ring[*Record]{limit: keepCalls}, Changes: ring[Change]{limit: keepChanges},
	}
}

// Record is a Call whose parameters are not written yet.
type Record struct {
	At     time.Time
	Method string
	Params *php.Array
	Batch  bool
	Status int
	Code   string
	Fault  string // the kind of the fault that spoiled the answer
}

func NewRecord(method string, params *php.Array, a *Answer, batch bool, at time.Time) *Record {
	r := &Record{At: at, Method: method, Params: params, Batch: batch, Status: a.Status()}
	if a.Err != nil {
		r.Code = value.Text(a.Err.Code)
		if r.Code == "" {
			r.Code = a.Err.Text // an error without a code has only its text
		}
	}
	return r
}

func (j *Journal) Add(r *Record) {
	if r.Status != 503 && r.Status != 0 {
		j.Commands[r.Method]++
	}
	if r.Code != "" {
		j.Errors[r.Code]++
	}
	j.Calls.push(r)
}

func (j *Journal) Change(ch Change, values func() *php.Array) {
	j.Changed++
	if j.Changes.limit == 0 {
		return
	}
	ch.Values, _ = php.EncodeJSON(values()) // built of values that can be written
	j.Changes.push(ch)
}

// ring keeps the latest values.
type ring[T any] struct {
	limit  int
	values []T
}

func (r *ring[T]) push(v T) {
	if r.limit == 0 {
		return
	}
	r.values = append(r.values, v)
	if len(r.values) >= 2*r.limit { // cut seldom, so that a push stays cheap
		r.values = slices.Clone(r.values[len(r.values)-r.limit:])
	}
}

func (r *ring[T]) All() []T {
	return append([]T{}, r.values[max(0, len(r.values)-r.limit):]...)
}
