package bitrix

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/internal/php"
)

// OfflineEvent is an event that the portal has kept for the application.
type OfflineEvent struct {
	ID        string
	MessageID string
	Event
}

// OfflineBatch are events that the portal has reserved for one reader. They
// stay reserved until they are confirmed.
type OfflineBatch struct {
	Process string
	Events  []OfflineEvent
	// Broken are the message ids of records that cannot be read.
	Broken []string
}

// offlineRecord is one record of the portal's queue. EVENT_DATA may be false.
type offlineRecord struct {
	ID        json.RawMessage `json:"ID"`
	Changed   string          `json:"TIMESTAMP_X"`
	Name      string          `json:"EVENT_NAME"`
	Data      json.RawMessage `json:"EVENT_DATA"`
	MessageID string          `json:"MESSAGE_ID"`
	Process   string          `json:"PROCESS_ID"`
	Error     json.RawMessage `json:"ERROR"`
}

// OfflineQueue is the queue of events that a portal keeps for the application.
type OfflineQueue struct {
	client    *Client
	connector string
}

// Offline returns the queue of a connector, "" for that of subscriptions without
// one.
func (c *Client) Offline(connector string) OfflineQueue { return OfflineQueue{c, connector} }

// params are those of every listing of the queue.
func (q OfflineQueue) params(params map[string]any) map[string]any {
	if q.connector != "" {
		params["auth_connector"] = q.connector
	}
	return params
}

// Fetch reserves the next events and returns them; none when the queue is empty.
// They must be confirmed with Confirm once they are stored.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-get.html
func (q OfflineQueue) Fetch(ctx context.Context) (OfflineBatch, error) {
	// A read that reserves: when it is not known whether it ran, Reserved finds what
	// it took.
	call := Call{Method: "event.offline.get", Write: true, Params: q.params(map[string]any{
		"clear": 0, "limit": pageSize, "order": map[string]any{"ID": "ASC"},
	})}
	a := q.client.Do(ctx, call)[0]
	rows, err := DecodeRows(call.Method, a, "events")
	if err != nil {
		return OfflineBatch{}, err
	}
	records, err := decodeOffline(call.Method, rows)
	if err != nil {
		return OfflineBatch{}, err
	}
	members, err := wire.Object(a.Result)
	process := wire.Text(members["process_id"])
	switch {
	case err != nil:
		return OfflineBatch{}, badRead(call.Method, err)
	case len(records) > 0 && process == "":
		return OfflineBatch{}, badRead(call.Method, fmt.Errorf("%d events without a process_id", len(records)))
	}
	return offlineBatch(process, records), nil
}

// Reserved returns the batches that a process has reserved and not confirmed,
// because it was killed before.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-list.html
func (q OfflineQueue) Reserved(ctx context.Context) ([]OfflineBatch, error) {
	// The reserved ones come first. A filter for them would have to compare with
	// an empty text, which portals take for no filter.
	call := Call{Method: "event.offline.list", Params: q.params(map[string]any{
		"order": map[string]any{"PROCESS_ID": "DESC", "ID": "ASC"},
	})}
	byProcess := map[string][]offlineRecord{}
	p := pages{method: call.Method}
	for start := 0; ; start = p.next {
		if err := p.add(q.client.Do(ctx, page(call, start))[0], start); err != nil {
			return nil, err
		}
		records, err := decodeOffline(call.Method, p.rows[start:])
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			// What was marked as failed is for people.
			if r.Process != "" && cmp.Or(wire.Text(r.Error), "0") == "0" {
				byProcess[r.Process] = append(byProcess[r.Process], r)
			}
		}
		if p.next == 0 || freeFollow(records) {
			break
		}
	}
	if err := p.distinct(); err != nil {
		return nil, err
	}
	var out []OfflineBatch
	for process, records := range byProcess {
		out = append(out, offlineBatch(process, records))
	}
	slices.SortFunc(out, func(a, b OfflineBatch) int { return strings.Compare(a.Process, b.Process) })
	return out, nil
}

// freeFollow reports whether only records that no process has reserved come after
// these. A portal that does not order as requested is read to the end.
func freeFollow(records []offlineRecord) bool {
	free := slices.IndexFunc(records, func(r offlineRecord) bool { return r.Process == "" })
	return free >= 0 && !slices.ContainsFunc(records[free:], func(r offlineRecord) bool { return r.Process != "" })
}

// Confirm makes the portal forget the events of a batch. Records that could not be
// read are marked as failed, and the portal keeps them.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-clear.html
func (q OfflineQueue) Confirm(ctx context.Context, b OfflineBatch) error {
	var calls []Call
	if len(b.Broken) > 0 {
		calls = append(calls, Call{Method: "event.offline.error", Params: map[string]any{"process_id": b.Process, "message_id": b.Broken}, Write: true})
	}
	if len(b.Events) > 0 {
		ids := make([]string, len(b.Events))
		for i, e := range b.Events {
			ids[i] = e.ID
		}
		calls = append(calls, Call{Method: "event.offline.clear", Params: map[string]any{"process_id": b.Process, "id": ids}, Write: true})
	}
	for _, a := range q.client.Do(ctx, calls...) {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}

// decodeOffline reads records of the queue. A record whose id cannot be read is an
// error: it could neither be confirmed nor marked.
func decodeOffline(method string, rows []json.RawMessage) ([]offlineRecord, error) {
	records := make([]offlineRecord, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row, &records[i]); err != nil {
			return nil, badRead(method, err)
		}
		if _, err := wire.ID(records[i].ID); err != nil {
			return nil, badRead(method, fmt.Errorf("record %d: %w", i+1, err))
		}
	}
	return records, nil
}

func offlineBatch(process string, records []offlineRecord) OfflineBatch {
	b := OfflineBatch{Process: process}
	for _, r := range records {
		e, err := r.event()
		if err != nil {
			b.Broken = append(b.Broken, r.MessageID)
			continue
		}
		b.Events = append(b.Events, e)
	}
	return b
}

// event reads a record as the event that a portal would have posted.
func (r offlineRecord) event() (OfflineEvent, error) {
	e := OfflineEvent{ID: wire.Text(r.ID), MessageID: r.MessageID, Event: Event{Code: strings.ToUpper(r.Name), Data: php.NewArray()}}
	if e.Code == "" || len(e.Code) > maxCode || strings.IndexFunc(e.Code, notCode) >= 0 {
		return e, fmt.Errorf("record %s has no event", e.ID)
	}
	if at, err := time.Parse(time.RFC3339, r.Changed); err == nil {
		e.Time = at
	}
	dec := json.NewDecoder(bytes.NewReader(r.Data))
	dec.UseNumber()
	var data map[string]any
	if err := dec.Decode(&data); err != nil {
		return e, fmt.Errorf("record %s has no data", e.ID) // such as false
	}
	v, err := php.FromGo(asPosted(data))
	a, ok := v.(*php.Array)
	if err != nil || !ok {
		return e, fmt.Errorf("record %s has no data", e.ID)
	}
	e.Data = a
	return e, nil
}

// asPosted makes all scalars text, as a form has them.
func asPosted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = asPosted(v[k])
		}
	case []any:
		for i := range v {
			v[i] = asPosted(v[i])
		}
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "1"
		}
		return "0"
	case nil:
		return ""
	}
	return v
}
