package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// the source whose own changes are not sent.
	Offline   bool
	Connector string
}

// Subscriptions returns what is bound for the application.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-get.html
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	const method = "event.get"
	rows, err := DecodeRows(method, c.Do(ctx, Call{Method: method})[0], "")
	if err != nil {
		return nil, err
	}
	out := make([]Subscription, len(rows))
	for i, row := range rows {
		var r struct {
			Event     string `json:"event"`
			Handler   string `json:"handler"`
			Offline   YesNo  `json:"offline"`
			Connector string `json:"connector_id"`
		}
		if err := json.Unmarshal(row, &r); err != nil {
			return nil, badRead(method, err)
		}
		if r.Event == "" {
			return nil, badRead(method, fmt.Errorf("row %d has no event", i+1))
		}
		out[i] = Subscription{Event: strings.ToUpper(r.Event), Handler: r.Handler, Offline: bool(r.Offline), Connector: r.Connector}
	}
	return out, nil
}

// EventCodes returns the events that the application may bind.
// Source: https://apidocs.bitrix24.com/api-reference/events/events.html
func (c *Client) EventCodes(ctx context.Context) ([]string, error) {
	const method = "events"
	a := c.Do(ctx, Call{Method: method})[0]
	if a.Err != nil {
		return nil, a.Err
	}
	list, err := wire.List(a.Result)
	if err != nil {
		return nil, badRead(method, err)
	}
	codes := make([]string, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &codes[i]); err != nil || codes[i] == "" {
			return nil, badRead(method, fmt.Errorf("%.40s is no event", raw))
		}
		codes[i] = strings.ToUpper(codes[i])
	}
	return codes, nil
}

// Bind makes the portal send events, or keep them. An event that is already bound
// is no error. The error names the first event that could not be bound.
// Source: https://apidocs.bitrix24.com/api-reference/events/event-bind.html
func (c *Client) Bind(ctx context.Context, all ...Subscription) error {
	return eachSubscription(ctx, c, "event.bind", all, func(e *Error) bool { return strings.Contains(strings.ToLower(e.Detail), "already bind") })
}

// Unbind undoes Bind. A portal finds offline subscriptions under the connector of
// the request alone, see SetConnector.
func (c *Client) Unbind(ctx context.Context, all ...Subscription) error {
	return eachSubscription(ctx, c, "event.unbind", all, func(*Error) bool { return false })
}

// eachSubscription makes one call for each subscription. fine says which errors are
// none.
func eachSubscription(ctx context.Context, c *Client, method string, all []Subscription, fine func(*Error) bool) error {
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
	FeatureConnector = "rest_auth_connector"   // our own changes are not sent
)

// Feature reports whether the portal's plan has a feature.
// Source: https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html
func (c *Client) Feature(ctx context.Context, code string) (bool, error) {
	const method = "feature.get"
	a := c.Do(ctx, Call{Method: method, Params: map[string]any{"CODE": code}})[0]
	if a.Err != nil {
		return false, a.Err
	}
	members, err := wire.Object(a.Result)
	if err != nil {
		return false, badRead(method, err)
	}
	value, ok := members["value"]
	if !ok {
		return false, badRead(method, errors.New("no value"))
	}
	has, err := wire.Flag(value)
	if err != nil {
		return false, badRead(method, err)
	}
	return has, nil
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
