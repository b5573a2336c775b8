package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

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
		for _, scope := range x.needs[id].Scopes() {
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

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no permission"
	}
	return strings.Join(names, ", ")
}
