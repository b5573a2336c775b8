package emulator

import (
	"slices"
	"strconv"
	"strings"

	"b24rules/bitrix/php"
	"b24rules/schemas"
)

func eventMethods() []method {
	return []method{
		{name: "events", legacy: true, app: true, run: eventCodes},
		{name: "event.bind", legacy: true, app: true, run: eventBind},
		{name: "event.get", legacy: true, app: true, run: eventGet},
		{name: "event.unbind", legacy: true, app: true, run: eventUnbind},
	}
}

// knownEvent tells whether the portal lists a code: a suffixed one only for a
// smart process that exists.
func (s *store) knownEvent(code string) bool {
	_, suffix, ok := schemas.LookupEvent(code)
	if !ok || suffix == 0 {
		return ok
	}
	t := s.types[suffix]
	return t != nil && t.dynamic != nil
}

// eventCodes is events.
func eventCodes(c *call) (any, error) {
	codes := php.NewArray()
	for _, e := range schemas.Events() {
		codes.Append(e.Code)
		if e.Entity != "item" {
			continue
		}
		for _, t := range c.store().dynamicTypes() {
			codes.Append(e.Code + "_" + strconv.Itoa(t.id))
		}
	}
	return codes, nil
}

// eventBind is event.bind. Offline events are not emulated.
func eventBind(c *call) (any, error) {
	code := strings.ToUpper(toText(c.param("EVENT")))
	if !c.store().knownEvent(code) {
		return nil, fail("ERROR_EVENT_NOT_FOUND", "Event not found")
	}
	handler := toText(c.param("HANDLER"))
	if handler == "" {
		return nil, argumentOf("HANDLER")
	}
	if err := checkHandlerURL(handler); err != nil {
		return nil, err
	}
	sub := &subscription{event: code, url: handler, token: c.p.app.token, app: true, user: toInt(c.param("AUTH_TYPE"))}
	for _, old := range c.p.feeds.subscriptions {
		if old.app && old.event == sub.event && old.url == sub.url && old.user == sub.user {
			return nil, fail("ERROR_CORE", "Unable to set event handler: Handler already binded")
		}
	}
	sub.id = c.store().next("handler")
	c.p.feeds.subscriptions = append(c.p.feeds.subscriptions, sub)
	return true, nil
}

func argumentOf(name string) error {
	return &restError{status: 400, code: "ERROR_ARGUMENT", text: "Argument '" + name + "' is null or empty", argument: name}
}

// eventGet is event.get. auth_type is text there and offline a number.
func eventGet(c *call) (any, error) {
	bound := php.NewArray()
	for _, sub := range c.p.feeds.subscriptions {
		if sub.app {
			bound.Append(object("event", sub.event, "handler", sub.url, "auth_type", toText(intValue(sub.user)), "offline", 0))
		}
	}
	return bound, nil
}

// eventUnbind is event.unbind: what is left out widens the match, and nothing
// found is no error.
func eventUnbind(c *call) (any, error) {
	code, handler := strings.ToUpper(toText(c.param("EVENT"))), toText(c.param("HANDLER"))
	if code == "" {
		return nil, argumentOf("EVENT")
	}
	if handler == "" {
		return nil, argumentOf("HANDLER")
	}
	user := c.param("AUTH_TYPE")
	rest, dropped := without(c.p.feeds.subscriptions, func(sub *subscription) bool {
		return sub.app && sub.event == code && sub.url == handler && (user == nil || sub.user == toInt(user))
	})
	c.p.feeds.subscriptions = slices.Clip(rest)
	return object("count", dropped), nil
}
