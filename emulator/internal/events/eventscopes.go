package events

import (
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/schemas"
)

// eventScopes are the permissions that events belong to, by the beginnings of their
// codes. The others belong to every application.
// https://apidocs.bitrix24.com/api-reference/events/events.html
var eventScopes = [...]struct{ prefix, scope string }{
	{"CATALOG.", "catalog"},
	{"ONBOOKING", "booking"},
	{"ONCALENDAR", "calendar"},
	{"ONCRM", "crm"},
	{"ONEXTERNALCALL", "telephony"},
	{"ONIMBOT", "imbot"},
	{"ONIMCOMMAND", "imbot"},
	{"ONIMCONNECTOR", "imconnector"},
	{"ONLIVEFEED", "log"},
	{"ONOPENLINE", "imopenlines"},
	{"ONORDER", "sale"},
	{"ONPAYMENT", "sale"},
	{"ONPROPERTYVALUE", "sale"},
	{"ONSALE", "sale"},
	{"ONSESSION", "imopenlines"},
	{"ONSHIPMENT", "sale"},
	{"ONSIGN", "sign.b2e"},
	{"ONSONETGROUP", "sonet"},
	{"ONTASK", "task"},
	{"ONUSER", "user"},
	{"ONVOXIMPLANT", "telephony"},
}

func eventScope(code string) string {
	for _, s := range eventScopes {
		if strings.HasPrefix(code, s.prefix) {
			return s.scope
		}
	}
	return ""
}

// knownEvent reports whether the portal lets the application have an event: one of its
// permissions, and a suffixed one only for a smart process that exists.
func knownEvent(c *rest.Call, code string) bool {
	_, suffix, ok := schemas.LookupEvent(code)
	if !ok || !c.Options.Allows(eventScope(code)) {
		return false
	}
	t := c.Store.Types[suffix]
	return suffix == 0 || t != nil && t.Dynamic != nil
}
