package emulator

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Operations that History names and events end with.
const (
	opAdd    = "add"
	opUpdate = "update"
	opDelete = "delete"
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

// journal keeps what happened.
type journal struct {
	requests, refused, batches int64
	commands, errors           map[string]int64
	calls                      ring[*record]
	changes                    ring[Change]
}

func newJournal(keepCalls, keepChanges int) journal {
	return journal{
		commands: map[string]int64{}, errors: map[string]int64{},
		calls: ring[*record]{limit: keepCalls}, changes: ring[Change]{limit: keepChanges},
	}
}

// record is a Call whose parameters are not written yet.
type record struct {
	at     time.Time
	method string
	params *php.Array
	batch  bool
	status int
	code   string
	fault  string // the kind of the fault that spoiled the answer
}

func newRecord(method string, params *php.Array, a *answer, batch bool, at time.Time) *record {
	r := &record{at: at, method: method, params: params, batch: batch, status: a.status()}
	if a.err != nil {
		r.code = value.Text(a.err.code)
		if r.code == "" {
			r.code = a.err.text // an error without a code has only its text
		}
	}
	return r
}

func (j *journal) add(r *record) {
	if r.status != 503 && r.status != 0 {
		j.commands[r.method]++
	}
	if r.code != "" {
		j.errors[r.code]++
	}
	j.calls.push(r)
}

func (j *journal) change(ch Change, values func() *php.Array) {
	if j.changes.limit == 0 {
		return
	}
	ch.Values, _ = php.EncodeJSON(values()) // built of values that can be written
	j.changes.push(ch)
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

func (r *ring[T]) all() []T {
	return append([]T{}, r.values[max(0, len(r.values)-r.limit):]...)
}
