package engine_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestRouteOfSenders checks which rules the requests of other systems and of robots start,
// and what their runs are for.
func TestRouteOfSenders(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
rules:
  orders: {on: {hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}, steps: [{make_rows: {count: 1}}]}
  calls: {on: {hook: phone, fields: {text: string}}, steps: [{make_rows: {count: 1}}]}
  recount: {on: [ONCRMDEALUPDATE, {robot: recount, entities: [deal]}], steps: [{make_rows: {count: 1}}]}
  elsewhere: {on: {robot: move, entities: [deal]}, portals: [other], steps: [{make_rows: {count: 1}}]}
`, new([]enginetest.Saved))
	order := func(key any) engine.Event { return engine.HookEvent("shop", "17", map[string]any{"order": key}) }
	for _, tt := range []struct {
		name string
		e    engine.Event
		want string
	}{
		{"a key", order("A-1"), "orders hook:shop:A-1"},
		{"no key, so the run fails with the reason", order(""), "orders hook:shop:17"},
		{"a key that is too long", order(strings.Repeat("x", 201)), "orders hook:shop:17"},
		{"a key that cannot be printed", order("a\nb"), "orders hook:shop:17"},
		{"a payload that does not fit", order(map[string]any{}), "orders hook:shop:17"},
		{"no key in the rule", engine.HookEvent("phone", "9", map[string]any{"text": "hello"}), "calls hook:phone:9"},
		{"a hook that no rule takes", engine.HookEvent("other", "9", nil), ""},
		{"a robot", engine.RobotEvent("recount", 2, "7", map[string]string{"reason": "stock"}), "recount deal:7"},
		{"a robot for an entity of another kind", engine.RobotEvent("recount", 1, "7", nil), ""},
		{"a robot of a rule for another portal", engine.RobotEvent("move", 2, "7", nil), ""},
		{"another robot", engine.RobotEvent("count", 2, "7", nil), ""},
		{"a robot without an entity", engine.RobotEvent("recount", 0, "", nil), ""},
		{"a refused request", engine.Event{Code: engine.CodeRefused, Data: map[string]any{"hook": "shop"}}, ""},
	} {
		got := ""
		for _, r := range set.Route("main", tt.e, nil) {
			got += r.Rule.ID + " " + r.Entity.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for code, want := range map[string]string{engine.CodeHook: "in/shop", engine.CodeRefused: "in/shop", engine.CodeRobot: "robot/shop", "ONCRMDEALADD": ""} {
		if _, address := (engine.Event{Code: code, Data: map[string]any{"hook": "shop", "robot": "shop"}}).Sender(); address != want {
			t.Errorf("%s: %q, want %q", code, address, want)
		}
	}
}

// TestUnwrap checks what event.data is for the requests of others.
func TestUnwrap(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
rules:
  orders: {on: {hook: shop, fields: {order: {type: string, required: true}}}, steps: [{make_rows: {count: 1}}]}
`, new([]enginetest.Saved))
	r := set.Rules[0]
	e, err := r.Unwrap(engine.HookEvent("shop", "1", map[string]any{"order": "A", "more": 1}))
	if err != nil || e.Data["order"] != "A" {
		t.Errorf("%v, %v", e.Data, err)
	}
	if _, err := r.Unwrap(engine.HookEvent("shop", "1", map[string]any{})); err == nil || !strings.Contains(err.Error(), "order") {
		t.Errorf("a required field is missing: %v", err)
	}
	e, err = r.Unwrap(engine.RobotEvent("x", 2, "7", map[string]string{"reason": "stock"}))
	if err != nil || e.Data["reason"] != "stock" || e.Field("ID") != "7" {
		t.Errorf("%v, %v", e.Data, err)
	}
	e, err = r.Unwrap(engine.Event{Code: engine.CodeRobot, Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}})
	if err != nil || e.Field("ID") != "7" {
		t.Errorf("a robot without values: %v, %v", e.Data, err)
	}
}
