package describe

import (
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
)

// scopeOf are the permissions (scopes) for methods, by the first part of the method's name.
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

// Scopes are the permissions that the credentials need, sorted.
func (n Needs) Scopes() []string {
	var out []string
	for _, p := range n.Places {
		if p.List > 0 {
			out = append(out, "lists")
		} else {
			out = append(out, "crm")
		}
	}
	for _, method := range n.Methods {
		first, _, _ := strings.Cut(method, ".")
		if scope, ok := scopeOf[first]; ok {
			out = append(out, scope)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Scopes returns the permissions that a rule set needs, whatever its inputs are, sorted.
func Scopes(set *engine.RuleSet) []string {
	given := map[string]string{}
	for _, in := range set.Inputs {
		if !in.HasDefault {
			given[in.Name] = "1" // any list, type or text
		}
	}
	inputs, _ := set.BindInputs(given)
	var out []string
	for _, r := range set.Rules {
		out = append(out, NeedsOf(r, inputs).Scopes()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// calendarMethod reads the calendar of work, for the functions of calendarCall.
const calendarMethod = "calendar.settings.get"

var calendarCall = regexp.MustCompile(`\b(isWorkday|addWorkdays|workdaysBetween|toWorkTime)\(`)

// readsCalendar reports whether a run of the rule needs the portal's calendar of work. A run
// computes all variables of the file.
func readsCalendar(r *engine.Rule) bool {
	found := false
	var look func(v *engine.Value)
	look = func(v *engine.Value) {
		switch {
		case v == nil || found:
		case v.Formula != nil, v.Template != nil:
			found = calendarCall.MatchString(v.Node.Value)
		case v.Record != nil:
			for _, e := range v.Record.Entries {
				look(e.Key)
				look(e.Value)
			}
		default:
			for _, e := range v.List {
				look(e)
			}
		}
	}
	look(r.When)
	for _, v := range r.Set.Vars {
		look(v.Value)
	}
	for _, s := range r.AllSteps() {
		s.EachValue(look)
	}
	return found
}
