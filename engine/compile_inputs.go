package engine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// inputTypes maps the types of inputs to what formulas see.
var inputTypes = map[string]formula.Kind{
	"integer": formula.Int,
	"number":  formula.Number,
	"string":  formula.String,
	"boolean": formula.Bool,
	// Where a secret may stand it is text.
	TypeSecret: formula.String,
}

// inputName is what an input may be called.
var inputName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (c *checker) readInputs(n *yaml.Node) {
	m, ok := c.mapping(n)
	if !ok {
		return
	}
	for _, e := range m.Entries {
		c.inputs.Fields[e.Name] = formula.Type{Kind: formula.Any} // a finding here is none where it is used
		if !inputName.MatchString(e.Name) {
			c.errorf(e.Key, "bad-name", "an input's name is lower-case letters, digits and _, this is %q", e.Name)
			continue
		}
		in := Input{Name: e.Name, Pos: c.file.Pos(e.Key), Node: e.Key}
		if !c.readInput(e, &in) {
			continue
		}
		c.set.Inputs = append(c.set.Inputs, in)
		c.inputs.Fields[e.Name] = formula.Type{Kind: inputTypes[in.Type]}
		if in.Type == TypeSecret {
			c.secrets = append(c.secrets, in.Name)
		}
	}
}

func (c *checker) readInput(e yamlfile.Entry, in *Input) bool {
	if !c.wantMapping(e.Value, "an input takes a type", e.Name+": {type: string, default: "+yamlfile.Resolve(e.Value).Value+"}") {
		return false
	}
	m, ok := c.mapping(e.Value)
	if !ok {
		return false
	}
	c.keys(m, "an input", inputKeyNames...)
	if t, ok := m.Get("title"); ok {
		in.Title = c.text(t.Value, "title")
	}
	t, ok := m.Get("type")
	if !ok {
		c.errorf(e.Key, "missing-key", "input %q needs a type", e.Name).Hint = "type: integer"
		return false
	}
	in.Type = t.Value.Value
	kind, ok := inputTypes[in.Type]
	if !ok {
		c.errorf(t.Value, "invalid-value", "unknown input type %q", in.Type).Hint = suggest(in.Type, slices.Sorted(maps.Keys(inputTypes)))
		return false
	}
	if d, ok := m.Get("default"); ok {
		if in.Type == TypeSecret {
			c.errorf(d.Key, "invalid-value", "a secret has no default: it would stand in the rule file").Hint = "the portal's configuration says it, such as ${STOCK_TOKEN}"
			return false
		}
		v := c.value(d.Value, want{typ: formula.Type{Kind: kind}, what: "the default of input " + e.Name}, formula.Env{})
		if v == nil {
			return false
		}
		x, constant := v.Const()
		if !constant {
			c.errorf(d.Value, "wrong-type", "the default of input %s must be a literal", e.Name)
			return false
		}
		in.Default, in.HasDefault = x, true
	}
	return true
}

// readVars compiles the constants of a file. Each sees the inputs and the vars
// before it.
func (c *checker) readVars(m yamlfile.Mapping) formula.Type {
	typ := formula.RecordOf(map[string]formula.Type{})
	e, ok := m.Get("vars")
	if !ok {
		return typ
	}
	vm, ok := c.mapping(e.Value)
	if !ok {
		return typ
	}
	env := formula.Env{Vars: map[string]formula.Type{NameInputs: c.inputs, NameVars: typ}} // typ grows by each var
	for _, v := range vm.Entries {
		if !inputName.MatchString(v.Name) {
			c.errorf(v.Key, "bad-name", "the name of a var is lower-case letters, digits and _, this is %q", v.Name)
			continue
		}
		val := c.value(v.Value, wantAny, env)
		if val == nil {
			typ.Fields[v.Name] = formula.Type{Kind: formula.Any} // no second finding where it is used
			continue
		}
		typ.Fields[v.Name] = val.Type
		c.set.Vars = append(c.set.Vars, &NamedValue{Name: v.Name, Key: v.Key, Value: val})
	}
	return typ
}

// InputProblem is an input of a portal's configuration that does not fit.
type InputProblem struct {
	Name    string // of the input
	Message string
	Hint    string
}

// BindInputs checks what a portal's configuration says for the set's inputs
// and returns the values that formulas see. given holds YAML scalars' text.
func (s *RuleSet) BindInputs(given map[string]string) (map[string]any, []InputProblem) {
	var problems []InputProblem
	names := make([]string, 0, len(s.Inputs))
	out := make(map[string]any, len(s.Inputs))
	for _, in := range s.Inputs {
		names = append(names, in.Name)
		text, ok := given[in.Name]
		if !ok {
			if !in.HasDefault {
				problems = append(problems, InputProblem{Name: in.Name, Message: "input " + in.Name + " (" + in.Type + ") of rule set " + s.Name + " is not set", Hint: in.Title})
			}
			out[in.Name] = in.Default
			continue
		}
		v, err := in.parse(text)
		if err != nil {
			problems = append(problems, InputProblem{Name: in.Name, Message: "input " + in.Name + " of rule set " + s.Name + ": " + err.Error(), Hint: in.Title})
		}
		out[in.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			problems = append(problems, InputProblem{Name: name, Message: "rule set " + s.Name + " has no input " + name, Hint: suggest(name, names)})
		}
	}
	return out, problems
}

func (in Input) parse(text string) (any, error) {
	switch in.Type {
	case "integer", "number":
		x, err := num.Parse(text)
		if err != nil || (in.Type == "integer" && !x.IsInt()) {
			return nil, &typeError{want: in.Type, got: text}
		}
		return x, nil
	case "boolean":
		if text != "true" && text != "false" {
			return nil, &typeError{want: "true or false", got: text}
		}
		return text == "true", nil
	}
	if in.Type == TypeSecret {
		if len(text) < minSecret {
			return nil, fmt.Errorf("a secret has at least %d characters, this one has %d", minSecret, len(text))
		}
		return bitrix.Secret(text), nil
	}
	return text, nil
}

type typeError struct{ want, got string }

func (e *typeError) Error() string { return "want " + e.want + ", got " + strconv.Quote(e.got) }
