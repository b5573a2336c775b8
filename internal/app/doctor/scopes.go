package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/schemas"
)

// scopes compares the permissions of the credentials with the methods of the rules.
// https://apidocs.bitrix24.com/api-reference/common/system/scope.html
func (x *examination) scopes(ctx context.Context, name string) {
	var have []string
	if err := x.Client.Read(ctx, "scope", nil, &have); err != nil {
		x.unasked(name, err.Error(), err)
		return
	}
	required := map[string][]string{} // scope -> rules
	for _, id := range sortedKeys(x.needs) {
		for _, scope := range x.needs[id].Scopes() {
			required[scope] = append(required[scope], id)
		}
	}
	if !x.Webhook {
		for code, rules := range x.requiredEvents() {
			if scope := schemas.EventScope(code); scope != "" {
				required[scope] = append(required[scope], rules...)
			}
		}
	}
	var missing []string
	for _, scope := range sortedKeys(required) {
		if !slices.ContainsFunc(have, func(given string) bool { return schemas.GivesScope(given, scope) }) {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		var why []string
		for _, scope := range missing {
			rules := required[scope]
			slices.Sort(rules)
			why = append(why, fmt.Sprintf("%s (for %s)", scope, strings.Join(slices.Compact(rules), ", ")))
		}
		x.add(name, Failed, "missing: "+strings.Join(why, ", "), x.moreScopes())
		return
	}
	x.add(name, OK, fmt.Sprintf("the rules need %s", orNothing(sortedKeys(required))), "")
}

// moreScopes says how the credentials get a permission.
func (x *examination) moreScopes() string {
	if x.Webhook {
		return "tick it in the form of the inbound webhook"
	}
	return "tick it in the form of the application, and install it again"
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no permission"
	}
	return strings.Join(names, ", ")
}
