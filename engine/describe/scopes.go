package describe

import (
	"regexp"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

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
		if scope, _ := schemas.MethodScope(method); scope != "" {
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
