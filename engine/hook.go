package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/payload"
	"github.com/b24rules/b24rules/schemas"
)

// Codes of the stored requests of others than the portal's events. A portal cannot send
// an event with such a code.
const (
	// OwnCode is the start of the codes of what the program itself stores as events.
	OwnCode = "B24RULES."
	// CodeHook is the code of what another system has sent to a hook, CodeRefused of what
	// did not fit, and CodeRobot of what a robot or a business process has sent.
	CodeHook    = OwnCode + "HOOK"
	CodeRefused = OwnCode + "REFUSED"
	CodeRobot   = OwnCode + "ROBOT"
)

// KindHook is the kind of what the runs of a hook are for.
const KindHook = "hook"

// maxHookKey is the most bytes of a key.
const maxHookKey = 200

// Hook starts a run of a rule when another system sends something.
type Hook struct {
	// Name is the last part of its address: /hooks/PORTAL/in/NAME.
	Name string
	// Form is what event.data has: a record.
	Form *payload.Form
	// Key says what the runs are for: of payloads with one key the latest wins. Nil makes
	// a run of each payload.
	Key *Value

	Node *yaml.Node
}

// Robot starts a run of a rule when a robot or a business process of the portal calls.
type Robot struct {
	// Code is a part of its address: /hooks/PORTAL/robot/CODE/SECRET.
	Code string
	// Types are the entityTypeIds of the entities that may call.
	Types []int

	Node *yaml.Node
}

// HookEvent returns the event of a payload. id tells it from others of the hook.
func HookEvent(name, id string, data any) Event {
	return Event{Code: CodeHook, Data: map[string]any{"hook": name, "id": id, "data": data}}
}

// RobotEvent returns the event of a robot's call for an entity. query are the values of
// the address.
func RobotEvent(code string, typeID int, id string, query map[string]string) Event {
	values := map[string]any{}
	for name, v := range query {
		values[name] = v
	}
	return Event{Code: CodeRobot, Data: map[string]any{
		"robot": code, "query": values, "FIELDS": map[string]any{"ID": id, "ENTITY_TYPE_ID": strconv.Itoa(typeID)},
	}}
}

// Sender returns the name of the hook or the code of the robot of an event, and its
// address without secrets. It returns "" for an event of the portal.
func (e Event) Sender() (name, address string) {
	switch e.Code {
	case CodeHook, CodeRefused:
		name, _ = e.Data["hook"].(string)
		return name, "in/" + name
	case CodeRobot:
		name, _ = e.Data["robot"].(string)
		return name, "robot/" + name
	}
	return "", ""
}

// Unwrap returns the event as the formulas of the rule see it. The error is a
// *payload.Error.
func (r *Rule) Unwrap(e Event) (Event, error) {
	switch {
	case e.Code == CodeHook && r.Hook != nil:
		data, problems := r.Hook.Form.Read(e.Data["data"])
		if len(problems) > 0 {
			return e, &payload.Error{Problems: problems}
		}
		e.Data, _ = data.(map[string]any)
	case e.Code == CodeRobot:
		query, _ := e.Data["query"].(map[string]any)
		data := maps.Clone(query)
		if data == nil {
			data = map[string]any{}
		}
		data["FIELDS"] = e.Data["FIELDS"]
		e.Data = data
	}
	return e, nil
}

// HookEntity returns what the run of a payload is for. The error is a *payload.Error, or
// says why there is no key.
func (r *Rule) HookEntity(portal string, e Event, inputs map[string]any) (Entity, error) {
	name, _ := e.Data["hook"].(string)
	id, _ := e.Data["id"].(string)
	read, err := r.Unwrap(e)
	if err != nil {
		return Entity{}, err
	}
	if r.Hook.Key == nil {
		return Entity{Kind: KindHook, ID: name + ":" + id}, nil
	}
	ctx := context.Background()
	v, err := r.Hook.Key.Eval(ctx, Scope{Machine: formula.NewMachine(ctx), Vars: map[string]any{
		NameEvent: EventScope(Entity{Kind: KindHook}, portal, read, 1, false), NameInputs: inputs, NameVars: map[string]any{},
	}})
	if err != nil {
		return Entity{}, errors.New("the formula of the key fails") // its text may show values
	}
	key, err := formula.ToText(v)
	switch {
	case err != nil || key == "":
		return Entity{}, errors.New("the key is empty")
	case len(key) > maxHookKey:
		return Entity{}, fmt.Errorf("the key has %d bytes, at most %d are taken", len(key), maxHookKey)
	case strings.IndexFunc(key, func(c rune) bool { return !unicode.IsPrint(c) }) >= 0:
		return Entity{}, errors.New("the key has a character that cannot be printed")
	}
	return Entity{Kind: KindHook, ID: name + ":" + key}, nil
}

// routeOwn returns the rules of the set that a request of another system or of a robot
// starts.
func (s *RuleSet) routeOwn(portal string, e Event, inputs map[string]any) []Route {
	name, _ := e.Sender()
	var out []Route
	for _, r := range s.Rules {
		if !r.Serves(portal) {
			continue
		}
		switch {
		case e.Code == CodeHook && r.TakesHook(name):
			ent, err := r.HookEntity(portal, e, inputs)
			if err != nil { // the run fails with the reason
				id, _ := e.Data["id"].(string)
				ent = Entity{Kind: KindHook, ID: name + ":" + id}
			}
			out = append(out, Route{Rule: r, Entity: ent})
		case e.Code == CodeRobot:
			if ent, ok := e.robotEntity(); ok && r.TakesRobot(name, ent.TypeID) {
				out = append(out, Route{Rule: r, Entity: ent})
			}
		}
	}
	return out
}

// Serves reports whether the rule runs in a portal.
func (r *Rule) Serves(portal string) bool {
	return len(r.Portals) == 0 || slices.Contains(r.Portals, portal)
}

// TakesHook reports whether another system starts the rule by a hook.
func (r *Rule) TakesHook(name string) bool { return r.Hook != nil && r.Hook.Name == name }

// TakesRobot reports whether the rule runs when a robot with a code calls for an entity of
// a type. Type 0 is that of any entity.
func (r *Rule) TakesRobot(code string, typeID int) bool {
	return slices.ContainsFunc(r.Robots, func(b Robot) bool {
		return b.Code == code && (typeID == 0 || slices.Contains(b.Types, typeID))
	})
}

func (e Event) robotEntity() (Entity, bool) {
	typeID, err := strconv.Atoi(e.Field("ENTITY_TYPE_ID"))
	if err != nil || typeID <= 0 {
		return Entity{}, false
	}
	id, err := e.ValidID(schemas.Event{IDs: []string{"FIELDS.ID"}})
	return EntityOfType(typeID, id), err == nil
}
