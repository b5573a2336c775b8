package schemas

import (
	"slices"
	"strings"
)

// methodScopes are the permissions that methods need, by the start of their names. The
// longest start counts. "" needs no permission.
// https://apidocs.bitrix24.com/api-reference/scopes/permissions.html and the page of each
// method.
var methodScopes = map[string]string{
	"access": "", "app": "", "batch": "", "event": "", "events": "", "feature": "", "method": "", "methods": "", "profile": "", "rest": "", "scope": "",
	"server": "", "user.access": "", "user.admin": "", "user.option": "",

	"ai": "ai_admin", "imconnector": "imopenlines", "imconnector.chat": "imconnector", "sale.cashbox": "cashbox", "sale.delivery": "delivery",
	"sale.paysystem": "pay_system", "sign": "sign.b2e", "tasks": "task", "humanresources.hcmlink": "humanresources.hcmlink",
	"user.userfield": "user.userfield", "userfieldtype": "placement", "voximplant": "telephony", "voximplant.infocall": "call",
}

// sameScope are the starts of the methods whose permission has their name.
var sameScope = []string{
	"biconnector", "bizproc", "booking", "calendar", "call", "catalog", "crm", "department", "disk", "documentgenerator", "entity",
	"humanresources", "im", "imbot", "imopenlines", "landing", "lists", "log", "mail", "mailservice", "main", "messageservice", "note",
	"pay_system", "placement", "pull", "rpa", "sale", "salescenter", "socialnetwork", "sonet_group", "task", "telephony", "timeman",
	"user", "userconsent", "userfieldconfig", "vote",
}

// MethodScope returns the permission (scope) that a method needs, "" for none. ok is false if
// nothing is known about such methods.
func MethodScope(method string) (scope string, ok bool) {
	for start := strings.ToLower(method); ; {
		if scope, ok := methodScopes[start]; ok {
			return scope, true
		}
		if slices.Contains(sameScope, start) {
			return start, true
		}
		dot := strings.LastIndexByte(start, '.')
		if dot < 0 {
			return "", false
		}
		start = start[:dot]
	}
}

// eventScopes are the permissions that an application needs to subscribe to events, by the
// start of their codes. The first one counts.
var eventScopes = []struct{ start, scope string }{
	{"ONCRM", "crm"},
	{"ONTASK", "task"},
	{"ONCALENDAR", "calendar"},
	{"ONBOOKING", "booking"},
	{"ONLIVEFEED", "log"},
	{"ONSONETGROUP", "sonet_group"},
	{"ONUSER", "user"},
	{"ONSIGN", "sign.b2e"},
	{"ONVOXIMPLANT", "telephony"},
	{"ONEXTERNALCALL", "telephony"},
	{"ONIMCONNECTOR", "imconnector"},
	{"ONIM", "imbot"},
	{"ONOPENLINE", "imopenlines"},
	{"ONSESSION", "imopenlines"},
	{"CATALOG.", "catalog"},
	{"ONSALE", "sale"},
	{"ONORDER", "sale"},
	{"ONPAYMENT", "sale"},
	{"ONSHIPMENT", "sale"},
	{"ONPROPERTYVALUE", "sale"},
}

// EventScope returns the permission that an application needs to subscribe to an event, ""
// for none. An outbound webhook needs no permission.
func EventScope(code string) string {
	code = strings.ToUpper(code)
	for _, e := range eventScopes {
		if strings.HasPrefix(code, e.start) {
			return e.scope
		}
	}
	return ""
}

// GivesScope reports whether credentials with a permission have another one with it. The
// permission for users comes in three sizes, and that for telephony includes calls.
func GivesScope(given, scope string) bool {
	switch scope {
	case given:
		return true
	case "user":
		return given == "user_basic" || given == "user_brief"
	case "call":
		return given == "telephony"
	case "imconnector":
		return given == "imopenlines"
	}
	return false
}
