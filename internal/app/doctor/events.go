package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// events checks that the events of the rules arrive. The subscriptions of an
// application can be read. Those of an outbound webhook cannot (WRONG_AUTH_TYPE), so
// the check looks when the latest event of each code arrived.
// https://apidocs.bitrix24.com/api-reference/events/event-get.html
func (x *examination) events(ctx context.Context, name string) {
	required := x.requiredEvents()
	if len(required) == 0 {
		x.add(name, OK, "no rule needs an event", "")
		return
	}
	if !x.Webhook {
		x.subscribed(ctx, name, required)
		return
	}
	if x.NoToken {
		x.add(name, Failed, "the application token is still the placeholder of init, so each event is refused",
			fmt.Sprintf("make an outbound webhook for %s whose handler address ends with /hooks/%s, and put its application token into application_token or its file", strings.Join(sortedKeys(required), ", "), x.Name))
		return
	}
	x.arrived(ctx, name, required)
}

// requiredEvents are the codes of the portal's events that rules need, each with the rules.
func (x *examination) requiredEvents() map[string][]string {
	required := map[string][]string{}
	for _, r := range x.Rules {
		for _, t := range r.Triggers {
			// Hooks, robots and ticks are no events of the portal.
			if !strings.HasPrefix(t.Code, engine.OwnCode) && !slices.Contains(required[t.Code], r.ID) {
				required[t.Code] = append(required[t.Code], r.ID)
			}
		}
	}
	return required
}

// subscribed checks the subscriptions of the application.
func (x *examination) subscribed(ctx context.Context, name string, required map[string][]string) {
	all, err := x.Client.Subscriptions(ctx)
	if err != nil {
		x.unasked(name, err.Error(), err)
		return
	}
	bad := 0
	for _, code := range sortedKeys(required) {
		bound := false
		for _, s := range all {
			// The event of a smart process may be bound with its type: ONCRMDYNAMICITEMADD_1038.
			bound = bound || s.Event == code || strings.HasPrefix(s.Event, code+"_")
		}
		if !bound {
			bad++
			x.add(name, Failed, fmt.Sprintf("%s, for %s, is not bound", code, strings.Join(required[code], ", ")), "serve binds events when it starts and after an installation: look at its log")
		}
	}
	if bad == 0 {
		x.add(name, OK, "all are bound: "+strings.Join(sortedKeys(required), ", "), "")
	}
}

// arrived checks when events arrived.
func (x *examination) arrived(ctx context.Context, name string, required map[string][]string) {
	if x.Latest == nil {
		x.add(name, Unknown, "serve has not run yet, so no event can have arrived", "start serve and change an entity")
		return
	}
	var never, old []string
	bad := 0
	for _, code := range sortedKeys(required) {
		if e, _, _ := schemas.LookupEvent(code); e.AppOnly {
			x.add(name, Warning, fmt.Sprintf("%s, for %s, is not sent by an outbound webhook", code, strings.Join(required[code], ", ")), "connect the portal as an application, or let the rule listen to another event")
			bad++
			continue
		}
		at, err := x.Latest(ctx, code)
		switch {
		case err != nil:
			x.add(name, Unknown, err.Error(), checkDatabase)
			return
		case at.IsZero():
			never = append(never, code)
		case x.Now().Sub(at) > eventsExpected:
			old = append(old, fmt.Sprintf("%s for %d days", code, int(x.Now().Sub(at).Hours()/24)))
		}
	}
	const advice = "tick the events in the outbound webhook, check its handler address and the application token, then change an entity"
	if len(never) > 0 {
		x.add(name, Warning, "have not arrived yet: "+strings.Join(never, ", "), advice)
	}
	if len(old) > 0 {
		x.add(name, Warning, "have not arrived: "+strings.Join(old, ", "), advice)
	}
	if len(never)+len(old)+bad == 0 {
		x.add(name, OK, "all arrive: "+strings.Join(sortedKeys(required), ", "), "")
	}
}
