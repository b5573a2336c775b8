package compile

import (
	"maps"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// inputTypes maps the types of inputs to what formulas see.
var inputTypes = map[string]formula.Kind{
	"integer": formula.Int,
	"number":  formula.Number,
	"string":  formula.String,
	"boolean": formula.Bool,
	// Arguments that take secrets take them as text.
	engine.TypeSecret: formula.String,
}

// inputName matches the names of inputs and vars.
var inputName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

const inputNameHint = "use lower-case letters, digits and _, and start with a letter"

func (c *fileCompiler) readInputs(n *yaml.Node) {
	m, ok := c.mapping(n)
	if !ok {
		return
	}
	for _, e := range m.Entries {
		c.inputs.Fields[e.Name] = formula.Type{Kind: formula.Any} // so that formulas with a wrong input have no finding
		if !inputName.MatchString(e.Name) {
			c.Errorf(e.Key, "bad-name", "%q cannot be the name of an input", e.Name).Hint = inputNameHint
			continue
		}
		in := engine.Input{Name: e.Name, Pos: c.file.Pos(e.Key), Node: e.Key}
		if !c.readInput(e, &in) {
			continue
		}
		c.set.Inputs = append(c.set.Inputs, in)
		c.inputs.Fields[e.Name] = formula.Type{Kind: inputTypes[in.Type]}
		if in.Type == engine.TypeSecret {
			c.secrets = append(c.secrets, in.Name)
		}
	}
}

func (c *fileCompiler) readInput(e yamlfile.Entry, in *engine.Input) bool {
	hint := e.Name + ": {type: string}"
	if text := yamlfile.Resolve(e.Value).Value; text != "" {
		hint = e.Name + ": {type: string, default: " + text + "}"
	}
	if !c.wantMapping(e.Value, diag.Phrasef("input %s takes a mapping with a type", e.Name), hint) {
		return false
	}
	m, ok := c.mapping(e.Value)
	if !ok {
		return false
	}
	c.keys(m, diag.Phrasef("an input"), inputKeyNames...)
	if t, ok := m.Get("title"); ok {
		in.Title = c.text(t.Value, "title")
	}
	t, ok := m.Get("type")
	if !ok {
		c.Errorf(e.Key, "missing-key", "input %q has no type", e.Name).Hint = "add type: integer"
		return false
	}
	in.Type = t.Value.Value
	kind, ok := inputTypes[in.Type]
	if !ok {
		suggest(c.Errorf(t.Value, "invalid-value", "unknown input type %q", in.Type), in.Type, slices.Sorted(maps.Keys(inputTypes)))
		return false
	}
	if d, ok := m.Get("default"); ok {
		if in.Type == engine.TypeSecret {
			c.Errorf(d.Key, "invalid-value", "a secret cannot have a default, because the rule file would contain it").Hint = "remove default, and set the input in the portal's configuration, for example to ${STOCK_TOKEN}"
			return false
		}
		v := c.value(d.Value, want{typ: formula.Type{Kind: kind}, what: diag.Phrasef("the default of input %s", e.Name)}, formula.Env{})
		if v == nil {
			return false
		}
		x, constant := v.Const()
		if !constant {
			c.Errorf(d.Value, "wrong-type", "the default of input %s must not be a formula", e.Name).Hint = "write the value itself"
			return false
		}
		in.Default, in.HasDefault = x, true
	}
	return true
}

// readVars compiles the constants of a file. Each formula sees the inputs and the vars
// before it.
func (c *fileCompiler) readVars(m yamlfile.Mapping) formula.Type {
	typ := formula.RecordOf(map[string]formula.Type{})
	e, ok := m.Get("vars")
	if !ok {
		return typ
	}
	vm, ok := c.mapping(e.Value)
	if !ok {
		return typ
	}
	env := formula.Env{
		Vars:    map[string]formula.Type{engine.NameInputs: c.inputs, engine.NameVars: typ}, // typ grows by each var
		Trusted: map[string]bool{engine.NameInputs: true, engine.NameVars: true},
	}
	for _, v := range vm.Entries {
		if !inputName.MatchString(v.Name) {
			c.Errorf(v.Key, "bad-name", "%q cannot be the name of a var", v.Name).Hint = inputNameHint
			continue
		}
		val := c.value(v.Value, wantAny, env)
		if val == nil {
			typ.Fields[v.Name] = formula.Type{Kind: formula.Any} // so that formulas with this var have no finding
			continue
		}
		typ.Fields[v.Name] = val.Type
		c.set.Vars = append(c.set.Vars, &engine.NamedValue{Name: v.Name, Key: v.Key, Value: val})
	}
	return typ
}

func inputTypeNames() []string { return slices.Sorted(maps.Keys(inputTypes)) }
