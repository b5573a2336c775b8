package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/schemas"
)

// eventMethods are the methods about events and their handlers.
type eventMethods struct{ *hub }

// methods are the methods about events and their handlers.
func (h *hub) methods() []method {
	m := eventMethods{h}
	return []method{
		{name: "events", legacy: true, app: true, run: eventCodes},
		{name: "event.bind", legacy: true, app: true, run: m.eventBind},
		{name: "event.get", legacy: true, app: true, run: m.eventGet},
		{name: "event.unbind", legacy: true, app: true, run: m.eventUnbind},
		{name: "event.test", app: true, run: eventTest},
		{name: "event.offline.get", legacy: true, app: true, run: m.offlineFetch},
		{name: "event.offline.list", legacy: true, app: true, run: m.offlineList},
		{name: "event.offline.clear", legacy: true, app: true, run: m.offlineClear},
		{name: "event.offline.error", legacy: true, app: true, run: m.offlineError},
	}
}

// eventCodes is events: those of one permission, of all, or of the application's.
func eventCodes(c *call) (any, error) {
	wanted := scopeFilter(c)
	codes := php.NewArray()
	for _, e := range schemas.Events() {
		if !wanted(eventScope(e.Code)) {
			continue
		}
		codes.Append(e.Code)
		if e.Entity != "item" {
			continue
		}
		for _, t := range c.store.DynamicTypes() {
			codes.Append(e.Code + "_" + strconv.Itoa(t.ID))
		}
	}
	return codes, nil
}

// eventBind is event.bind.
// https://apidocs.bitrix24.com/api-reference/events/event-bind.html
func (h eventMethods) eventBind(c *call) (any, error) {
	sub := &subscription{event: strings.ToUpper(value.Text(c.param("EVENT"))), app: true, user: value.Int(c.param("AUTH_TYPE")), connector: c.req.connector}
	admin := c.needAdmin("Event binding with AUTH_TYPE requires administrator access rights")
	switch {
	case sub.user > 0 && sub.user != c.req.user && admin != nil:
		return nil, admin
	case sub.user == 0 && admin != nil: // others get events for themselves only
		sub.user = c.req.user
	case sub.event == "":
		return nil, argumentOf("EVENT")
	}
	if err := eventType(c, sub, "Offline events binding requires administrator access rights"); err != nil {
		return nil, err
	}
	if !knownEvent(c, sub.event) {
		return nil, fail("ERROR_EVENT_NOT_FOUND", "Event not found")
	}
	if sub.event == "ONOFFLINEEVENT" {
		if sub.offline {
			return nil, fail("ERROR_ARGUMENT", "Offline event cannot be registered for this event.")
		}
		sub.minTimeout = time.Second
		if options, ok := value.Array(c.param("OPTIONS")); ok {
			if v, ok := options.Get("minTimeout"); ok {
				sub.minTimeout = time.Duration(value.Int(v)) * time.Second
			}
		}
	}
	for _, old := range h.subscriptions {
		if old.app && old.event == sub.event && old.url == sub.url && old.user == sub.user && old.connector == sub.connector {
			return nil, fail("ERROR_CORE", "Unable to set event handler: Handler already binded")
		}
	}
	sub.id = c.store.Next("handler")
	h.subscriptions = append(h.subscriptions, sub)
	return true, nil
}

// eventType reads whether a handler is for offline events, which only
// administrators have, and its URL, which these have not.
func eventType(c *call, sub *subscription, forbidden string) error {
	switch kind := strings.ToLower(value.Text(c.param("EVENT_TYPE"))); kind {
	case "offline":
		sub.offline, sub.user = true, 0
		return c.needAdmin(forbidden)
	case "", "online":
		sub.url = value.Text(c.param("HANDLER"))
		if sub.url == "" {
			return argumentOf("HANDLER")
		}
		return checkHandlerURL(sub.url)
	default:
		return argumentIs("EVENT_TYPE", "Value must be one of {online|offline}")
	}
}

// eventGet is event.get. auth_type is text there and offline a number. Who is
// no administrator sees what is bound for themselves.
// https://apidocs.bitrix24.com/api-reference/events/event-get.html
func (h eventMethods) eventGet(c *call) (any, error) {
	bound := php.NewArray()
	all := c.needAdmin("") == nil
	for _, sub := range h.subscriptions {
		switch {
		case !sub.app || !all && sub.user != c.req.user:
		case sub.offline:
			bound.Append(value.Object("event", sub.event, "connector_id", sub.connector, "offline", 1))
		default:
			bound.Append(value.Object("event", sub.event, "handler", sub.url, "auth_type", value.Text(value.FromInt(sub.user)), "offline", 0))
		}
	}
	return bound, nil
}

// eventUnbind is event.unbind: what is left out widens the match, and nothing
// found is no error.
// https://apidocs.bitrix24.com/api-reference/events/event-unbind.html
func (h eventMethods) eventUnbind(c *call) (any, error) {
	want := &subscription{event: strings.ToUpper(value.Text(c.param("EVENT"))), connector: c.req.connector}
	if want.event == "" {
		return nil, argumentOf("EVENT")
	}
	if err := eventType(c, want, "Offline events unbinding requires administrator access rights"); err != nil {
		return nil, err
	}
	user, anyUser := value.Int(c.param("AUTH_TYPE")), c.param("AUTH_TYPE") == nil
	if admin := c.needAdmin("Event unbinding with AUTH_TYPE requires administrator access rights"); admin != nil {
		if !anyUser && user != c.req.user {
			return nil, admin
		}
		user, anyUser = c.req.user, false
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
func eventTest(c *call) (any, error) {
	c.raiseEvent("ONAPPTEST", value.Object("QUERY", c.params, "LANGUAGE_ID", "en"), authLong)
	return 1, nil
}
