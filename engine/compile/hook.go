package compile

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/payload"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// sourceCompiler compiles the hooks and robots of a rule.
type sourceCompiler struct{ *ruleCompiler }

// readHook reads {hook: shop, fields: {…}, key: =…}. The key is compiled when the names of
// the rule are known.
func (c *sourceCompiler) readHook(r *engine.Rule, n *yaml.Node, m yamlfile.Mapping) {
	c.keys(m, diag.Phrasef("a hook"), keyNames(hookKeys)...)
	h := &engine.Hook{Node: n, Form: &payload.Form{Kind: formula.Record, Required: true}}
	if e, ok := m.Get("hook"); ok {
		h.Name = c.sourceName(e.Value, "hook")
	}
	e, ok := m.Get("fields")
	if !ok {
		c.Errorf(n, "missing-key", "the hook does not say what it receives").Hint = "fields: {order: {type: string, required: true}, sum: number}"
		return
	}
	h.Form.Fields = c.formFields(e.Value)
	if r.Hook != nil {
		c.Errorf(n, "invalid-value", "a rule takes one hook, and this is the second").Hint = "write another rule for it"
		return
	}
	r.Hook = h
}

// hookAlone reports what cannot stand next to a hook.
func (c *sourceCompiler) hookAlone(r *engine.Rule, m yamlfile.Mapping) {
	if r.Hook == nil {
		return
	}
	if len(r.Triggers)+len(r.Schedules)+len(r.Robots) > 0 {
		c.Errorf(r.Hook.Node, "invalid-value", "a rule with a hook has no other events, because event.data has the fields of the hook").Hint = "write two rules, or let the rule of the hook start the other one: about and start"
	}
	for _, name := range []string{"about", "entity", "deleted"} {
		if e, ok := m.Get(name); ok {
			c.Errorf(e.Key, "invalid-value", "%s says something about entities of the portal, and the runs of a hook are for its key", name).Hint = "remove it"
		}
	}
}

// hookKey compiles the key of the rule's hook. Payloads without a key need not wait for
// others.
func (c *sourceCompiler) hookKey(r *engine.Rule, m yamlfile.Mapping) {
	if r.Hook == nil {
		return
	}
	hook, _ := c.mapping(r.Hook.Node)
	e, ok := hook.Get("key")
	if !ok {
		if _, waits := m.Get("debounce"); !waits {
			r.Debounce, r.Ceiling = 0, 0
		}
		return
	}
	env := formula.Env{Vars: map[string]formula.Type{
		engine.NameInputs: c.inputs,
		engine.NameEvent:  formula.RecordOf(map[string]formula.Type{"portal": {Kind: formula.String}, "data": r.Hook.Form.Type()}),
	}, Later: map[string]string{engine.NameVars: "is not known in the key of a hook: use inputs"}}
	r.Hook.Key = c.value(e.Value, want{typ: formula.Type{Kind: formula.Any}, what: diag.Phrasef("key")}, env)
	if r.Hook.Key != nil && r.Hook.Key.Type.Maybe {
		c.Errorf(e.Value, "may-be-empty", "the key may be nil, and then the hook would refuse the request").Hint = "add required: true to the field"
	}
}

// sourceName reads the name of a hook or the code of a robot: a part of an address.
func (c *sourceCompiler) sourceName(n *yaml.Node, what string) string {
	name := c.text(n, what)
	if !ruleID(name) {
		c.Errorf(n, "bad-name", "%q cannot be a part of an address", name).Hint = ruleIDHint
	}
	return name
}

// formTypes are the words for types of fields.
var formTypes = map[string]formula.Kind{
	"string": formula.String, "number": formula.Number, "integer": formula.Int, "boolean": formula.Bool, "any": formula.Any,
}

// formWords are the keys of formTypes in the order of texts.
var formWords = []string{"string", "number", "integer", "boolean", "any"}

func (c *sourceCompiler) formFields(n *yaml.Node) []payload.Field {
	if !c.wantMapping(n, diag.Phrasef("fields takes names and types"), "fields: {order: {type: string, required: true}, sum: number}") {
		return nil
	}
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	var out []payload.Field
	for _, e := range m.Entries {
		if p := c.form(e.Value); p != nil {
			out = append(out, payload.Field{Name: e.Name, Form: p})
		}
	}
	return out
}

// form reads the type of a field: a word, {type: word, required: true}, a mapping of
// fields, or a list with the type of its elements.
func (c *sourceCompiler) form(n *yaml.Node) *payload.Form {
	n = yamlfile.Resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		kind, ok := formTypes[n.Value]
		if !ok {
			suggest(c.Errorf(n, "invalid-value", "the type %q is unknown", n.Value), n.Value, formWords)
			return nil
		}
		return &payload.Form{Kind: kind}
	case yaml.SequenceNode:
		if len(n.Content) != 1 {
			c.Errorf(n, "invalid-value", "a list has one type for all elements").Hint = "[{name: string, price: number}]"
			return nil
		}
		of := c.form(n.Content[0])
		if of == nil {
			return nil
		}
		of.Required = true // null is no element
		return &payload.Form{Kind: formula.List, Element: of}
	}
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	if typ, isForm := m.Get("type"); isForm && !slices.ContainsFunc(m.Entries, func(e yamlfile.Entry) bool { return e.Name != "type" && e.Name != "required" }) {
		p := c.form(typ.Value)
		if e, given := m.Get("required"); given && p != nil {
			c.list = append(c.list, yamlfile.Decode(c.file, e.Value, &p.Required)...)
		}
		return p
	}
	fields := c.formFields(n)
	p := &payload.Form{Kind: formula.Record, Fields: fields}
	p.Required = slices.ContainsFunc(fields, func(f payload.Field) bool { return f.Required })
	return p
}

// readRobot reads {robot: recount, entities: [deal, {entityTypeId: 1072}]}.
func (c *sourceCompiler) readRobot(r *engine.Rule, n *yaml.Node, m yamlfile.Mapping) {
	c.keys(m, diag.Phrasef("a robot"), keyNames(robotKeys)...)
	b := engine.Robot{Node: n}
	if e, ok := m.Get("robot"); ok {
		b.Code = c.sourceName(e.Value, "robot")
	}
	e, ok := m.Get("entities")
	if !ok {
		c.Errorf(n, "missing-key", "the robot does not say for which entities it is").Hint = "entities: [deal]"
		return
	}
	list := yamlfile.Resolve(e.Value)
	nodes := []*yaml.Node{list}
	if list.Kind == yaml.SequenceNode {
		nodes = list.Content
	}
	if len(nodes) == 0 {
		c.Errorf(list, "missing-key", "the list of entities is empty").Hint = "entities: [deal]"
	}
	for _, one := range nodes {
		about, ok := c.aboutOf(one, "entities", robotEntities())
		switch {
		case !ok:
		case slices.Contains(b.Types, about.TypeID):
			c.Errorf(one, "invalid-value", "%s is listed twice", about).Hint = "remove one"
		default:
			b.Types = append(b.Types, about.TypeID)
		}
	}
	r.Robots = append(r.Robots, b)
}

// robotEntities are the words that entities of a robot takes.
func robotEntities() []string {
	return slices.DeleteFunc(aboutNames(), func(name string) bool { return name == engine.KindPortal })
}

// robotData is the type of event.data when robots start the rule: the entity's ids as in
// an event, and the values of the address.
func robotData(r *engine.Rule) formula.Type {
	if len(r.Triggers) > 0 {
		return formula.OpenRecord(nil)
	}
	text := formula.Type{Kind: formula.String}
	return formula.OpenRecord(map[string]formula.Type{"FIELDS": formula.RecordOf(map[string]formula.Type{"ID": text, "ENTITY_TYPE_ID": text})})
}

// checkEntityOfRobots reports a formula for the entity next to robots, which name it.
func (c *sourceCompiler) checkEntityOfRobots(r *engine.Rule, m yamlfile.Mapping) {
	if e, ok := m.Get("entity"); ok && len(r.Robots) > 0 {
		c.Errorf(e.Key, "invalid-value", "a robot names its entity, so a rule with a robot has no entity").Hint = "write another rule"
	}
	if r.AboutKind == nil {
		return
	}
	for _, b := range r.Robots {
		for _, id := range b.Types {
			if r.AboutKind.Portal || r.AboutKind.TypeID != id {
				c.Errorf(b.Node, "about-mismatch", "the rule is about %s, but the robot is for %s", *r.AboutKind, engine.TypeWord(id)).Hint = "remove about, or write another rule for the robot"
			}
		}
	}
}

// ownerType is the entityTypeId of a word such as deal.
func ownerType(name string) int {
	owner, _ := schemas.LookupOwner(name)
	return owner.ID
}
