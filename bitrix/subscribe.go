package bitrix

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// Subscription is one event that a portal sends to the application, or keeps
// for it.
type Subscription struct {
	Event string // upper case
	// Handler is the address that the event is posted to, "" when it is kept.
	Handler string
	// Offline events are kept by the portal until they are fetched. Connector is
	// the source whose own changes are left out.
	Offline   bool
	Connector string
}

// Subscriptions returns what is bound for the application.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-get.html
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var rows []struct {
		Event     string          `json:"event"`
		Handler   string          `json:"handler"`
		Offline   json.RawMessage `json:"offline"`
		Connector string          `json:"connector_id"`
	}
	if err := decode(ctx, c, Call{Method: "event.get"}, &rows); err != nil {
		return nil, err
	}
	out := make([]Subscription, len(rows))
	for i, r := range rows {
		out[i] = Subscription{Event: strings.ToUpper(r.Event), Handler: r.Handler, Offline: wire.Int(r.Offline) == 1, Connector: r.Connector}
	}
	return out, nil
}

// EventCodes returns the events that the application may bind.
func (c *Client) EventCodes(ctx context.Context) ([]string, error) {
	var codes []string
	if err := decode(ctx, c, Call{Method: "events"}, &codes); err != nil {
		return nil, err
	}
	for i := range codes {
		codes[i] = strings.ToUpper(codes[i])
	}
	return codes, nil
}

// Bind makes the portal send events, or keep them. Those that are bound already
// are no error. It returns the first that could not be bound.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-bind.html
func (c *Client) Bind(ctx context.Context, all ...Subscription) error {
	return c.each(ctx, "event.bind", all, func(e *Error) bool { return strings.Contains(strings.ToLower(e.Detail), "already bind") })
}

// Unbind undoes Bind. A portal finds offline subscriptions under the connector of
// the request alone, see SetConnector.
func (c *Client) Unbind(ctx context.Context, all ...Subscription) error {
	return c.each(ctx, "event.unbind", all, func(*Error) bool { return false })
}

func (c *Client) each(ctx context.Context, method string, all []Subscription, fine func(*Error) bool) error {
	calls := make([]Call, len(all))
	for i, s := range all {
		params := map[string]any{"event": s.Event}
		if s.Offline {
			params["event_type"] = "offline"
			if s.Connector != "" {
				params["auth_connector"] = s.Connector
			}
		} else {
			params["handler"] = s.Handler
		}
		calls[i] = Call{Method: method, Params: params, Write: true, Unordered: true}
	}
	for i, a := range c.Do(ctx, calls...) {
		if e, ok := a.Err.(*Error); ok && !fine(e) { //nolint:errorlint // an Answer has this type of error
			return fmt.Errorf("%s: %w", all[i].Event, e)
		}
	}
	return nil
}

// Features of a portal's plan that offline events want.
// Source: https://apidocs.bitrix24.com/api-reference/events/offline-events.html
const (
	FeatureOffline   = "rest_offline_extended" // batches are kept until they are confirmed
	FeatureConnector = "rest_auth_connector"   // our own changes are left out
)

// Feature reports whether the portal's plan has a feature.
func (c *Client) Feature(ctx context.Context, code string) (bool, error) {
	var out struct {
		Value string `json:"value"`
	}
	err := decode(ctx, c, Call{Method: "feature.get", Params: map[string]any{"CODE": code}}, &out)
	return out.Value == "Y", err
}

// SetConnector sets the auth_connector that goes with every request from now
// on; see OAuth.Connector. It does nothing for a webhook.
func (c *Client) SetConnector(connector string) {
	if c.transport.auth == nil {
		return
	}
	c.transport.auth.mu.Lock()
	defer c.transport.auth.mu.Unlock()
	c.transport.auth.cfg.Connector = connector
}

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

// FetchOffline reserves the next events and returns them; none when there are
// none. They must be confirmed with ConfirmOffline once they are safe.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-get.html
func (c *Client) FetchOffline(ctx context.Context, connector string) (OfflineBatch, error) {
	params := map[string]any{"clear": 0, "limit": pageSize, "order": map[string]any{"ID": "ASC"}}
	if connector != "" {
		params["auth_connector"] = connector
	}
	var out struct {
		Process string          `json:"process_id"`
		Events  []offlineRecord `json:"events"`
	}
	// A read that reserves: when nobody knows whether it ran, ReservedOffline
	// finds what it took.
	if err := decode(ctx, c, Call{Method: "event.offline.get", Params: params, Write: true}, &out); err != nil {
		return OfflineBatch{}, err
	}
	if len(out.Events) > 0 && out.Process == "" {
		return OfflineBatch{}, badShape("event.offline.get", fmt.Errorf("%d events without a process_id", len(out.Events)))
	}
	return offlineBatch(out.Process, out.Events), nil
}

// ReservedOffline returns the batches that somebody has reserved and not
// confirmed: a process that was killed with them in hand.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-list.html
func (c *Client) ReservedOffline(ctx context.Context, connector string) ([]OfflineBatch, error) {
	// The reserved ones come first. A filter for them would have to compare with
	// an empty text, which portals take for no filter.
	params := map[string]any{"order": map[string]any{"PROCESS_ID": "DESC", "ID": "ASC"}}
	if connector != "" {
		params["auth_connector"] = connector
	}
	byProcess := map[string][]offlineRecord{}
	for start := 0; ; {
		a := c.Do(ctx, page(Call{Method: "event.offline.list", Params: params}, start))[0]
		if a.Err != nil {
			return nil, a.Err
		}
		var records []offlineRecord
		if err := json.Unmarshal(a.Result, &records); err != nil {
			return nil, badShape("event.offline.list", err)
		}
		for _, r := range records {
			// What was marked as failed is for people.
			if r.Process != "" && cmp.Or(wire.Text(r.Error), "0") == "0" {
				byProcess[r.Process] = append(byProcess[r.Process], r)
			}
		}
		if a.Next <= start || freeFollow(records) {
			break
		}
		start = a.Next
	}
	var out []OfflineBatch
	for process, records := range byProcess {
		out = append(out, offlineBatch(process, records))
	}
	slices.SortFunc(out, func(a, b OfflineBatch) int { return strings.Compare(a.Process, b.Process) })
	return out, nil
}

// freeFollow reports whether only records that nobody has reserved come after
// these. A portal that does not order as it was asked to is read to the end.
func freeFollow(records []offlineRecord) bool {
	free := slices.IndexFunc(records, func(r offlineRecord) bool { return r.Process == "" })
	return free >= 0 && !slices.ContainsFunc(records[free:], func(r offlineRecord) bool { return r.Process != "" })
}

// ConfirmOffline tells the portal to forget the events of a batch. Records that
// could not be read are marked and kept.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-offline-clear.html
func (c *Client) ConfirmOffline(ctx context.Context, b OfflineBatch) error {
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
	for _, a := range c.Do(ctx, calls...) {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}
