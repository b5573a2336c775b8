package describe_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
)

const senders = `
version: 1
rules:
  orders: {on: {hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}, steps: [{log: {message: a}}]}
  recount: {on: [{robot: recount, entities: [deal]}], when: '=event.data.reason == "stock"', steps: [{log: {message: a}}]}
  elsewhere: {on: {robot: move, entities: [deal]}, portals: [other], steps: [{log: {message: a}}]}
`

// TestMatchOfSenders checks for each rule whether a request of another system or a robot
// starts it, and the reason if it does not.
func TestMatchOfSenders(t *testing.T) {
	set := compile(t, senders)
	for _, tt := range []struct {
		name, portal string
		e            engine.Event
		want         []string
	}{
		{"an order", "main", engine.HookEvent("shop", "1", map[string]any{"order": "A"}), []string{
			"orders: steps hook:shop:A", "recount: the request is for in/shop, and the rule does not take it", "elsewhere: the request is for in/shop, and the rule does not take it",
		}},
		{"an order that does not fit", "main", engine.HookEvent("shop", "1", map[string]any{}), []string{
			"orders: ", "recount: the request", "elsewhere: the request",
		}},
		{"a refused request", "main", engine.Event{Code: engine.CodeRefused, Data: map[string]any{"hook": "shop"}}, []string{
			"orders: the request to in/shop did not fit and was refused", "recount: the request to in/shop", "elsewhere: the request to in/shop",
		}},
		{"a robot", "main", engine.RobotEvent("recount", 2, "7", map[string]string{"reason": "stock"}), []string{
			"orders: the request is for robot/recount", "recount: steps deal:7", "elsewhere: the request is for robot/recount",
		}},
		{"a condition", "main", engine.RobotEvent("recount", 2, "7", map[string]string{"reason": "other"}), []string{
			"orders: the request", `recount: when: (event.data.reason == "stock") is false`, "elsewhere: the request",
		}},
		{"a rule for another portal", "main", engine.RobotEvent("move", 2, "7", nil), []string{
			"orders: the request", "recount: the request", "elsewhere: ",
		}},
		{"no portal is known", "", engine.RobotEvent("move", 2, "7", nil), []string{
			"orders: the request", "recount: the request", "elsewhere: perhaps steps deal:7",
		}},
		{"a robot for a contact", "main", engine.RobotEvent("recount", 3, "7", nil), []string{
			"orders: the request", "recount: the robot has called for an entity of another kind", "elsewhere: the request",
		}},
	} {
		matches := describe.Match(set, tt.portal, tt.e, nil)
		if len(matches) != len(tt.want) {
			t.Fatalf("%s: %d rules", tt.name, len(matches))
		}
		for i, m := range matches {
			got := m.Rule + ": "
			switch {
			case m.Matches:
				got += m.Part + " " + m.Entity
			case m.Perhaps:
				got += "perhaps " + m.Part + " " + m.Entity
			default:
				got += strings.Join(m.Why, "; ")
			}
			if !strings.HasPrefix(got, tt.want[i]) {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want[i])
			}
		}
	}
}

// TestModelOfTriggers checks that each change of what starts a rule changes its model, and
// that a title does not.
func TestModelOfTriggers(t *testing.T) {
	seen := map[string]string{}
	for _, on := range []string{
		"{hook: shop, fields: {order: string}}", "{hook: store, fields: {order: string}}", "{hook: shop, fields: {order: number}}",
		"{hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}", "[{robot: recount, entities: [deal]}]", "[{robot: count, entities: [deal]}]",
		"[{robot: count, entities: [deal, lead]}]", "{schedule: '0 9 * * *'}", "{schedule: '0 10 * * *'}", "ONCRMDEALADD", "ONCRMDEALUPDATE",
	} {
		set := compile(t, "version: 1\nrules:\n  r: {on: "+on+", steps: [{log: {message: a}}]}\n")
		model := describe.Model(set)
		if other, twice := seen[model]; twice {
			t.Errorf("%s and %s have the same model", on, other)
		}
		seen[model] = on
		titled := describe.Model(compile(t, "version: 1\ntitle: A title\nrules:\n  r: {title: Another, on: "+on+", steps: [{log: {message: a}}]}\n"))
		if diff := cmp.Diff(model, titled); diff != "" {
			t.Errorf("a title changes the model of %s (-want +got)\n%s", on, diff)
		}
	}
}

// TestScopes checks the permissions that rule sets need.
func TestScopes(t *testing.T) {
	for _, tt := range []struct{ steps, want string }{
		{"[{log: {message: a}}]", ""},
		{"[{fetch_item: {owner: deal, id: =event.id}}]", "crm"},
		{"[{delete_elements: {list: =inputs.list, scope: {DEAL: =event.id}}}]", "lists"},
		{"[{call: {method: tasks.task.add, params: {fields: {TITLE: a}}}}]", "task"},
		{"[{update_item: {owner: deal, id: =event.id, fields: {closeDate: '=addWorkdays(event.time, 3)'}}}]", "calendar crm"},
		{"[{log: {message: a}}], when: '=isWorkday(event.time)'", "calendar"},
	} {
		set := compile(t, "version: 1\ninputs: {list: {type: integer}}\nrules:\n  r: {on: ONCRMDEALUPDATE, steps: "+tt.steps+"}\n")
		if got := strings.Join(describe.Scopes(set), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.steps, got, tt.want)
		}
	}
}
