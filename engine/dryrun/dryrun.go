package dryrun

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// Run makes a run of a rule dry. It records the writes instead of sending them, and
// answers them like a portal that accepts them. Changes returns them as differences.
//
// A later step of the same run sees items that an earlier step would have added or
// changed when it reads them by their id, but not in listings. The zero value is ready
// for use. It is safe for concurrent use.
type Run struct {
	mu     sync.Mutex
	portal engine.Portal
	writes []Write
	reads  []seenRead
	// items holds the items that the run would have added or changed.
	items map[record]map[string]any
	lists map[int]*bitrix.ListFields
	next  int

	starts []engine.Start
}

// Write is a call that a dry run did not send.
type Write struct {
	// Step is the step's id, or its verb and number.
	Step string
	Call bitrix.Call
	// Outside says that Call is a request to another system.
	Outside bool

	record record
}

// firstPlaceholder is the id of the first record that would be added. It is above the ids
// of real portals and fits in 32 bits.
const firstPlaceholder = 2_000_000_001

// record is an item or a list element.
type record struct {
	list bool // an element of a universal list
	of   int  // entityTypeId or IBLOCK_ID
	id   int
}

// seenRead is the answer of a read. Changes decodes it.
type seenRead struct {
	call bitrix.Call
	rows []json.RawMessage
}

// Writes returns the writes so far, in order.
func (r *Run) Writes() []Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Write(nil), r.writes...)
}

// Over returns a portal that one step uses instead of p: it reads p and writes nothing.
func (r *Run) Over(p engine.Portal, step string) engine.Portal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.portal = p
	return &dryPortal{Portal: p, r: r, step: step}
}

// Outside records a request to another system, which is not sent.
func (r *Run) Outside(step string, call bitrix.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, Write{Step: step, Call: call, Outside: true})
}

// Start records the runs that the run would start.
func (r *Run) Start(starts []engine.Start) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, starts...)
}

// Starts returns the runs that the run would start if it succeeds.
func (r *Run) Starts() []engine.Start {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.starts)
}

// dryPortal is the portal that a step of a dry run uses.
type dryPortal struct {
	engine.Portal
	r    *Run
	step string
}

// Do sends the reads. A call is a write if it says so, or if the table of methods says so.
func (p *dryPortal) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	answers := make([]bitrix.Answer, len(calls))
	var reads []bitrix.Call
	var at []int
	for i, c := range calls {
		if isWrite(c) {
			answers[i] = p.r.answerWrite(p.step, c)
			continue
		}
		if a, ok := p.r.lookUp(c); ok {
			answers[i] = a
			continue
		}
		reads, at = append(reads, c), append(at, i)
	}
	if len(reads) == 0 {
		return answers
	}
	for i, a := range p.Portal.Do(ctx, reads...) {
		answers[at[i]] = a
		if a.Err == nil {
			p.r.see(reads[i], rowsOf(reads[i].Method, a.Result))
		}
	}
	return answers
}

// List reads all pages. It refuses a method that writes.
func (p *dryPortal) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	if isWrite(call) {
		return nil, engine.ParkError("%s is a write, so it cannot be read page by page", call.Method)
	}
	rows, err := p.Portal.List(ctx, call, wrapper)
	if err == nil {
		p.r.see(call, rows)
	}
	return rows, err
}

// ListFields stores the descriptions of a list's properties for Changes.
func (p *dryPortal) ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error) {
	fields, err := p.Portal.ListFields(ctx, iblockType, iblockID)
	if err == nil {
		p.r.mu.Lock()
		defer p.r.mu.Unlock()
		if p.r.lists == nil {
			p.r.lists = map[int]*bitrix.ListFields{}
		}
		p.r.lists[iblockID] = fields
	}
	return fields, err
}

func isWrite(c bitrix.Call) bool {
	if c.Write {
		return true
	}
	m, known := schemas.LookupMethod(c.Method)
	return known && m.Effect == schemas.Write
}

// see stores the items or elements of an answer.
func (r *Run) see(c bitrix.Call, rows []json.RawMessage) {
	if len(rows) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads = append(r.reads, seenRead{c, rows})
}

// rowsOf returns the items or elements in an answer.
func rowsOf(method string, result json.RawMessage) (rows []json.RawMessage) {
	var wrapped struct {
		Item  json.RawMessage   `json:"item"`
		Items []json.RawMessage `json:"items"`
	}
	switch strings.ToLower(method) {
	case "crm.item.get", "crm.item.list":
		if json.Unmarshal(result, &wrapped) == nil && wrapped.Item != nil {
			return []json.RawMessage{wrapped.Item}
		}
		return wrapped.Items
	case "lists.element.get":
		_ = json.Unmarshal(result, &rows) // an answer that is no list has no rows
	}
	return rows
}

// answerWrite records a write and answers it.
func (r *Run) answerWrite(step string, c bitrix.Call) bitrix.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := Write{Step: step, Call: c, record: recordOf(c)}
	answer := bitrix.Answer{Total: -1, Next: -1, Result: json.RawMessage("null")}
	switch strings.ToLower(c.Method) {
	case "crm.item.add", "lists.element.add":
		r.next++
		w.record.id = firstPlaceholder + r.next - 1
		answer.Result = marshal(w.record.id)
		if !w.record.list {
			answer.Result = marshal(map[string]any{"item": r.simulateWrite(w.record, c)})
		}
	case "crm.item.update":
		answer.Result = marshal(map[string]any{"item": r.simulateWrite(w.record, c)})
	case "crm.item.delete":
		answer.Result = json.RawMessage("[]")
	case "lists.element.update", "lists.element.delete":
		answer.Result = json.RawMessage("true")
	}
	r.writes = append(r.writes, w)
	return answer
}

// simulateWrite returns an item as it would be after a write.
func (r *Run) simulateWrite(t record, c bitrix.Call) map[string]any {
	item := maps.Clone(r.items[t])
	if item == nil {
		item = map[string]any{"id": t.id, "entityTypeId": t.of}
	}
	fields, _ := c.Params["fields"].(map[string]any)
	maps.Copy(item, fields)
	if r.items == nil {
		r.items = map[record]map[string]any{}
	}
	r.items[t] = item
	return item
}

// lookUp answers a read of an item that the run would have added.
func (r *Run) lookUp(c bitrix.Call) (bitrix.Answer, bool) {
	if !strings.EqualFold(c.Method, "crm.item.get") {
		return bitrix.Answer{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := recordOf(c)
	if t.id < firstPlaceholder {
		return bitrix.Answer{}, false
	}
	item := r.items[t]
	if item == nil {
		return bitrix.Answer{Total: -1, Next: -1, Err: &bitrix.Error{
			Method: c.Method, Status: http.StatusBadRequest, Code: bitrix.CodeNotFound, Detail: "no such item", Outcome: bitrix.Executed,
		}}, true
	}
	return bitrix.Answer{Total: -1, Next: -1, Result: marshal(map[string]any{"item": item})}, true
}

// marshal encodes values of calls, for which this does not fail.
func marshal(v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return out
}
