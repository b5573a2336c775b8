package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// scopeOf are the permissions for methods, by the first part of the method's name.
// Methods of the platform, such as profile and event.bind, need none.
// https://apidocs.bitrix24.com/api-reference/scopes/permissions.html
var scopeOf = map[string]string{
	"ai": "ai_admin", "biconnector": "biconnector", "bizproc": "bizproc", "booking": "booking", "calendar": "calendar", "catalog": "catalog",
	"crm": "crm", "department": "department", "disk": "disk", "documentgenerator": "documentgenerator", "entity": "entity",
	"im": "im", "imbot": "imbot", "imconnector": "imopenlines", "imopenlines": "imopenlines", "landing": "landing", "lists": "lists",
	"log": "log", "mailservice": "mailservice", "messageservice": "messageservice", "pay_system": "pay_system", "placement": "placement",
	"pull": "pull", "rpa": "rpa", "sale": "sale", "sign": "sign.b2e", "sonet_group": "sonet_group", "task": "task", "tasks": "task",
	"telephony": "telephony", "timeman": "timeman", "user": "user", "userconsent": "userconsent", "userfieldconfig": "userfieldconfig",
	"voximplant": "telephony",
}

// scopes compares the permissions of the credentials with the methods of the rules.
// https://apidocs.bitrix24.com/api-reference/common/system/scope.html
func (x *examination) scopes(ctx context.Context, name string) {
	var have []string
	if err := x.ask(ctx, "scope", &have); err != nil {
		x.add(name, Unknown, err.Error(), "")
		return
	}
	required := map[string][]string{} // scope -> rules
	for _, id := range sortedKeys(x.needs) {
		for _, scope := range x.scopesOf(id) {
			required[scope] = append(required[scope], id)
		}
	}
	var missing []string
	for _, scope := range sortedKeys(required) {
		// The permission for users comes in three sizes.
		if !slices.ContainsFunc(have, func(h string) bool { return h == scope || scope == "user" && strings.HasPrefix(h, "user_b") }) {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		var why []string
		for _, scope := range missing {
			why = append(why, fmt.Sprintf("%s (for %s)", scope, strings.Join(required[scope], ", ")))
		}
		where := "tick it in the form of the inbound webhook"
		if !x.Webhook {
			where = "tick it in the form of the application, and install it again"
		}
		x.add(name, Failed, "missing: "+strings.Join(why, ", "), where)
		return
	}
	x.add(name, OK, fmt.Sprintf("the rules need %s", orNothing(sortedKeys(required))), "")
}

// scopesOf returns the permissions that a rule needs.
func (x *examination) scopesOf(rule string) []string {
	var out []string
	needs := x.needs[rule]
	for _, p := range needs.Places {
		if p.List > 0 {
			out = append(out, "lists")
		} else {
			out = append(out, "crm")
		}
	}
	for _, method := range needs.Methods {
		first, _, _ := strings.Cut(method, ".")
		if scope, ok := scopeOf[first]; ok {
			out = append(out, scope)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no permission"
	}
	return strings.Join(names, ", ")
}
