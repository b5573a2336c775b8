package emulator

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/internal/php"
)

// Stats are the portal's counters since its start, or since the last reset.
type Stats struct {
	Requests     int64            `json:"requests"`      // HTTP requests, refused ones too
	Refused      int64            `json:"refused"`       // of them for QUERY_LIMIT_EXCEEDED
	Batches      int64            `json:"batches"`       // of them batches
	Commands     map[string]int64 `json:"commands"`      // commands by method, inside batches too
	Errors       map[string]int64 `json:"errors"`        // failed commands by error code
	Changes      int64            `json:"changes"`       // of items and elements
	Level        float64          `json:"level"`         // how full the fullest bucket is
	Capacity     float64          `json:"capacity"`      // of a bucket, 0 without a limit
	HighestLevel float64          `json:"highest_level"` // the fullest that a bucket has been
	EventsSent   int64            `json:"events_sent"`   // events handed to a handler
	EventsFailed int64            `json:"events_failed"` // of them without a 2xx answer
	EventsQueued int64            `json:"events_queued"` // not sent yet, or being sent
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
	Fault  faults.Kind     `json:"fault,omitempty"` // what the answer was lost to
}

// Stats returns the counters.
func (p *Portal) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := &p.journal
	return Stats{
		Requests: j.Requests, Changes: j.Changed, Refused: j.Refused, Batches: j.Batches, Commands: maps.Clone(j.Commands),
		Errors: maps.Clone(j.Errors), Level: p.limits.Level(time.Now()), Capacity: p.limits.Capacity, HighestLevel: p.limits.Highest, EventsSent: p.events.Sent, EventsFailed: p.events.Failed,
		EventsQueued: int64(p.events.Pending),
	}
}

// Calls returns the latest commands in the order in which they ran.
func (p *Portal) Calls() []Call {
	p.mu.Lock()
	records := p.journal.Calls.All()
	p.mu.Unlock()
	calls := make([]Call, 0, len(records))
	for _, r := range records {
		params, _ := php.EncodeJSON(withoutSecrets(r.Params))
		calls = append(calls, Call{At: r.At, Method: r.Method, Params: params, Batch: r.Batch, Status: r.Status, Code: r.Code, Fault: faults.Kind(r.Fault)})
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
func (p *Portal) History() []rest.Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.journal.Changes.All()
}

// Reset sets the counters to zero and forgets calls and history. The data, the
// buckets' levels and the registered handlers stay.
func (p *Portal) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal = rest.NewJournal(p.cfg.KeepCalls, p.cfg.KeepChanges)
	p.events.Sent, p.events.Failed = 0, 0
	p.limits.Highest = 0
}
