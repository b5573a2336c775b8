package events

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/schemas"
)

// eventMethods are the methods about events and their handlers.
type eventMethods struct{ *Hub }

// Methods are the methods about events and their handlers.
func (h *Hub) Methods() []rest.Method {
	m := eventMethods{h}
	return []rest.Method{
		{Name: "events", Legacy: true, App: true, Run: eventCodes},
		{Name: "event.bind", Legacy: true, App: true, Run: m.eventBind},
		{Name: "event.get", Legacy: true, App: true, Run: m.eventGet},
		{Name: "event.unbind", Legacy: true, App: true, Run: m.eventUnbind},
		{Name: "event.test", App: true, Run: eventTest},
		{Name: "event.offline.get", Legacy: true, App: true, Run: m.offlineFetch},
		{Name: "event.offline.list", Legacy: true, App: true, Run: m.offlineList},
		{Name: "event.offline.clear", Legacy: true, App: true, Run: m.offlineClear},
		{Name: "event.offline.error", Legacy: true, App: true, Run: m.offlineError},
	}
}

// eventCodes is events: those of one permission, of all, or of the application's.
func eventCodes(c *rest.Call) (any, error) {
	inScope := c.ScopeFilter()
	codes := php.NewArray()
	for _, e := range schemas.Events() {
		if !inScope(eventScope(e.Code)) {
			continue
		}
		codes.Append(e.Code)
		if e.Entity != "item" {
			continue
		}
		for _, t := range c.Store.DynamicTypes() {
			codes.Append(e.Code + "_" + strconv.Itoa(t.ID))
		}
	}
	return codes, nil
}

// eventBind is event.bind.
// https://apidocs.bitrix24.com/api-reference/events/event-bind.html
func (h eventMethods) eventBind(c *rest.Call) (any, error) {
	sub := &subscription{event: strings.ToUpper(value.Text(c.Param("EVENT"))), app: true, user: value.Int(c.Param("AUTH_TYPE")), connector: c.Request.Connector}
	admin := c.NeedAdmin("Event binding with AUTH_TYPE requires administrator access rights")
	switch {
	case sub.user > 0 && sub.user != c.Request.User && admin != nil:
		return nil, admin
	case sub.user == 0 && admin != nil: // others get events for themselves only
		sub.user = c.Request.User
	case sub.event == "":
		return nil, rest.MissingArgument("EVENT")
	}
	if err := eventType(c, sub, "Offline events binding requires administrator access rights"); err != nil {
		return nil, err
	}
	if !knownEvent(c, sub.event) {
		return nil, rest.Fail("ERROR_EVENT_NOT_FOUND", "Event not found")
	}
	if sub.event == "ONOFFLINEEVENT" {
		if sub.offline {
			return nil, rest.Fail("ERROR_ARGUMENT", "Offline event cannot be registered for this event.")
		}
		sub.minTimeout = time.Second
		if options, ok := value.Array(c.Param("OPTIONS")); ok {
			if v, ok := options.Get("minTimeout"); ok {
				sub.minTimeout = time.Duration(value.Int(v)) * time.Second
			}
		}
	}
	for _, old := range h.subscriptions {
		if old.app && old.event == sub.event && old.url == sub.url && old.user == sub.user && old.connector == sub.connector {
			return nil, rest.Fail("ERROR_CORE", "Unable to set event handler: Handler already binded")
		}
	}
	sub.id = c.Store.Next("handler")
	h.subscriptions = append(h.subscriptions, sub)
	return true, nil
}

// eventType reads whether a handler is for offline events, which only
// administrators have, and its URL, which these have not.
func eventType(c *rest.Call, sub *subscription, forbidden string) error {
	switch kind := strings.ToLower(value.Text(c.Param("EVENT_TYPE"))); kind {
	case "offline":
		sub.offline, sub.user = true, 0
		return c.NeedAdmin(forbidden)
	case "", "online":
		sub.url = value.Text(c.Param("HANDLER"))
		if sub.url == "" {
			return rest.MissingArgument("HANDLER")
		}
		return checkHandlerURL(sub.url)
	default:
		return rest.WrongArgument("EVENT_TYPE", "Value must be one of {online|offline}")
	}
}

// eventGet is event.get. auth_type is text there and offline a number. Who is
// no administrator sees what is bound for themselves.
// https://apidocs.bitrix24.com/api-reference/events/event-get.html
func (h eventMethods) eventGet(c *rest.Call) (any, error) {
	bound := php.NewArray()
	all := c.NeedAdmin("") == nil
	for _, sub := range h.subscriptions {
		switch {
		case !sub.app || !all && sub.user != c.Request.User:
		case sub.offline:
			bound.Append(value.Object("event", sub.event, "connector_id", sub.connector, "offline", 1))
		default:
			bound.Append(value.Object("event", sub.event, "handler", sub.url, "auth_type", value.Text(value.FromInt(sub.user)), "offline", 0))
		}
	}
	return bound, nil
}

// eventUnbind is event.unbind: a missing parameter widens the match, and nothing
// found is no error.
// https://apidocs.bitrix24.com/api-reference/events/event-unbind.html
func (h eventMethods) eventUnbind(c *rest.Call) (any, error) {
	want := &subscription{event: strings.ToUpper(value.Text(c.Param("EVENT"))), connector: c.Request.Connector}
	if want.event == "" {
		return nil, rest.MissingArgument("EVENT")
	}
	if err := eventType(c, want, "Offline events unbinding requires administrator access rights"); err != nil {
		return nil, err
	}
	user, anyUser := value.Int(c.Param("AUTH_TYPE")), c.Param("AUTH_TYPE") == nil
	if admin := c.NeedAdmin("Event unbinding with AUTH_TYPE requires administrator access rights"); admin != nil {
		if !anyUser && user != c.Request.User {
			return nil, admin
		}
		user, anyUser = c.Request.User, false
	}
	others, dropped := without(h.subscriptions, func(sub *subscription) bool {
		if !sub.app || sub.event != want.event || sub.offline != want.offline {
			return false
		}
		if want.offline {
			return sub.connector == want.connector
		}
		return sub.url == want.url && (anyUser || sub.user == user)
	})
	h.subscriptions = slices.Clip(others)
	return value.Object("count", dropped), nil
}

// eventTest is event.test: it sends what it is given to ONAPPTEST.
// https://apidocs.bitrix24.com/api-reference/events/test-handler.html
func eventTest(c *rest.Call) (any, error) {
	c.RaiseEvent("ONAPPTEST", value.Object("QUERY", c.Params, "LANGUAGE_ID", "en"), rest.AuthLong)
	return 1, nil
}
