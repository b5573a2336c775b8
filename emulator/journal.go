package emulator

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Operations that History names and events end with.
const (
	opAdd    = "add"
	opUpdate = "update"
	opDelete = "delete"
)

// Stats are the portal's counters since it began, or since the last reset.
type Stats struct {
	Requests     int64            `json:"requests"`      // HTTP requests, refused ones too
	Refused      int64            `json:"refused"`       // of them for QUERY_LIMIT_EXCEEDED
	Batches      int64            `json:"batches"`       // of them batches
	Commands     map[string]int64 `json:"commands"`      // commands by method, inside batches too
	Errors       map[string]int64 `json:"errors"`        // failed commands by error code
	Level        float64          `json:"level"`         // how full the fullest bucket is
	Capacity     float64          `json:"capacity"`      // of a bucket, 0 without a limit
	HighestLevel float64          `json:"highest_level"` // the fullest that a bucket has been
	EventsSent   int64            `json:"events_sent"`   // events handed to a handler
	EventsFailed int64            `json:"events_failed"` // of them without a 2xx answer
	EventsQueued int64            `json:"events_queued"` // not sent yet, or under way
}

// Call is one command that the portal has run or refused. Its parameters hold
// no secrets.
type Call struct {
	At     time.Time       `json:"at"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
	Batch  bool            `json:"batch,omitempty"` // inside a batch
	Status int             `json:"status"`          // 0 when the request was cut off before
	Code   string          `json:"error,omitempty"`
	Fault  FaultKind       `json:"fault,omitempty"` // what the answer was lost to
}

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
	sent, failed               int64
	calls                      ring[*record]
	changes                    ring[Change]
}

func newJournal(cfg Config) journal {
	return journal{
		commands: map[string]int64{}, errors: map[string]int64{},
		calls: ring[*record]{limit: cfg.KeepCalls}, changes: ring[Change]{limit: cfg.KeepChanges},
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
	fault  FaultKind
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

// failed answers a command that did not run.
func (p *Portal) failed(req *request, method string, params *php.Array, e *restError) *answer {
	a := &answer{err: e}
	if req.inside {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal.add(newRecord(strings.ToLower(method), params, a, req.batch, time.Now()))
	return a
}

// cutOff ends a request before a command.
func (p *Portal) cutOff(req *request, method string, params *php.Array, f *Fault) *answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal.add(&record{at: time.Now(), method: strings.ToLower(method), params: params, batch: req.batch, fault: f.Kind})
	return &answer{broken: f}
}

// recordItem keeps what happened to an item for History.
func recordItem(c *call, it *model.Item, op string) {
	title, _ := it.Values["TITLE"].(string)
	c.p.journal.change(Change{At: c.now, Op: op, EntityTypeID: it.Type.ID, ID: it.ID, Title: title},
		func() *php.Array { return itemJSON(c.store(), it, naming{}, nil) })
}

// Stats returns the counters.
func (p *Portal) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := &p.journal
	return Stats{
		Requests: j.requests, Refused: j.refused, Batches: j.batches, Commands: maps.Clone(j.commands),
		Errors: maps.Clone(j.errors), Level: p.limits.level(time.Now()), Capacity: p.limits.capacity, HighestLevel: p.limits.highest, EventsSent: j.sent, EventsFailed: j.failed,
		EventsQueued: int64(p.feeds.pending),
	}
}

// Calls returns the latest commands in the order in which they ran.
func (p *Portal) Calls() []Call {
	p.mu.Lock()
	records := p.journal.calls.all()
	p.mu.Unlock()
	calls := make([]Call, 0, len(records))
	for _, r := range records {
		params, _ := php.EncodeJSON(withoutSecrets(r.params))
		calls = append(calls, Call{At: r.at, Method: r.method, Params: params, Batch: r.batch, Status: r.status, Code: r.code, Fault: r.fault})
	}
	return calls
}

// withoutSecrets leaves tokens out.
func withoutSecrets(params *php.Array) *php.Array {
	clean := php.NewArray()
	for name, v := range params.All() {
		switch strings.ToLower(name) {
		case "auth", "access_token", "refresh_token", "client_secret", "application_token":
			continue
		}
		clean.Set(name, v)
	}
	return clean
}

// History returns the latest changes of items and elements in their order, so
// that a test can ask whether something ever existed.
func (p *Portal) History() []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.journal.changes.all()
}

// Reset sets the counters to zero and forgets calls and history. The data, the
// buckets' levels and the registered handlers stay.
func (p *Portal) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal = newJournal(p.cfg)
	p.limits.highest = 0
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
