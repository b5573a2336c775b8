package compile

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// readArgs compiles the arguments of a step. It returns nil when they are no mapping.
func (c *stepCompiler) readArgs(s *engine.Step, verb yamlfile.Entry, env formula.Env) *engine.ArgTypes {
	types := engine.NewArgTypes()
	types.Knowing(c.ruleCompiler.known, c.rule)
	spec := s.Action.Arguments
	if spec.IsNames() {
		if names := c.names(verb.Value, env); names != nil {
			a := &engine.Argument{Field: spec.Fields[0], Names: names, Type: namesType(names)}
			s.Args = append(s.Args, a)
			types.Add("", a)
		}
		return types
	}
	value := yamlfile.Resolve(verb.Value)
	m := yamlfile.Mapping{Node: value}
	if value.Kind != yaml.ScalarNode || value.Tag != "!!null" {
		var ok bool
		if value.Kind != yaml.MappingNode {
			c.Errorf(value, "wrong-type", "%s takes named arguments", s.Action.Name).Hint = s.Action.Name + ": {" + requiredArgs(spec) + "}"
			return nil
		}
		if m, ok = c.mapping(value); !ok {
			return nil
		}
	}
	c.keys(m, diag.Phrasef("%s", s.Action.Name), spec.Names()...)
	for _, f := range spec.Fields {
		e, given := m.Get(f.Name)
		if !given {
			if f.Required {
				c.Errorf(verb.Key, "missing-argument", "%s needs %s: %s", s.Action.Name, f.Name, f.Doc)
			}
			continue
		}
		a := c.readArg(f, e, env, types)
		if types.Add(f.Name, a); a != nil {
			s.Args = append(s.Args, a)
		}
	}
	return types
}

// requiredArgs lists the required arguments for a hint.
func requiredArgs(a *engine.ArgStruct) string {
	out := ""
	for _, f := range a.Fields {
		if f.Required {
			if out != "" {
				out += ", "
			}
			out += f.Name + ": …"
		}
	}
	return out
}

func (c *stepCompiler) readArg(f *engine.ArgField, e yamlfile.Entry, env formula.Env, types *engine.ArgTypes) *engine.Argument {
	if f.PerRow != "" {
		rows, key := types.Arg(f.PerRow), types.Arg(f.GroupKey)
		if f.GroupKey != "" {
			env = with(env, groupNames(types.Type(f.PerRow), key), false)
		} else {
			env = with(env, rowNames(types.Type(f.PerRow)), false)
		}
		if rows != nil && (f.GroupKey == "" || key != nil) { // without a key the only group may be empty
			env.Present = env.Present.And(rows.Value.FactsOfElement())
		}
	}
	a := &engine.Argument{Field: f, Key: e.Key, Type: f.Takes}
	w := want{typ: f.Takes, what: diag.Phrasef("argument %s", f.Name), plain: f.Rules != "" || f.Suggest != nil}
	switch f.Kind {
	case engine.ArgDuration:
		w.duration = true
		v := c.value(e.Value, w, env)
		if v == nil {
			return nil
		}
		a.Fixed = v.Literal
	case engine.ArgFields, engine.ArgRowFields:
		if !c.wantMapping(e.Value, diag.Phrasef("argument %s takes names and values", f.Name), f.Name+": {name: value}") {
			return nil
		}
		if a.Fields = c.fields(e.Value, wantAny, env); a.Fields == nil {
			return nil
		}
		a.Type = recordType(a.Fields)
	case engine.ArgSecrets:
		text := want{typ: formula.Type{Kind: formula.String}, what: diag.Phrasef("a value of %s", f.Name), secret: true}
		if a.Fields = c.fields(e.Value, text, env); a.Fields == nil {
			return nil
		}
		a.Type = recordType(a.Fields)
		c.literalSecrets(a.Fields)
		c.dataNamesSecret(a.Fields)
	case engine.ArgNames:
		if a.Names = c.names(e.Value, env); a.Names == nil {
			return nil
		}
		a.Type = namesType(a.Names)
	default:
		w.secret = f.Kind == engine.ArgSecretURL || f.Kind == engine.ArgSecretValue
		if a.Value = c.value(e.Value, w, env); a.Value == nil {
			return nil
		}
		a.Type = a.Value.Type
		c.checkLiteral(f, a.Value)
		switch f.Kind {
		case engine.ArgURL, engine.ArgSecretURL:
			c.checkURL(a.Value)
		case engine.ArgSecretValue:
			c.checkSecretNames(a.Value)
			if a.Value.Record != nil {
				c.dataNamesSecret(a.Value.Record)
			}
		}
	}
	return a
}

// checkLiteral checks a constant argument with its validator rules, so that a wrong
// value is found before any run.
func (c *stepCompiler) checkLiteral(f *engine.ArgField, v *engine.Value) {
	x, ok := v.Const()
	if !ok || f.Rules == "" || x == nil {
		return
	}
	goValue, err := f.Convert(x)
	if err != nil {
		return // readArg has reported its type
	}
	if broken := f.Broken(goValue); !broken.Empty() {
		finding := c.Errorf(v.Node, "invalid-value", "argument %s %s", f.Name, broken)
		if text, ok := x.(string); ok {
			if near := nearest(text, f.OneOf()); near != "" {
				finding.Hintf("did you mean %s?", near)
			}
		}
	}
}

// nearest returns the word that another word probably means: warn for warning,
// smart_invoice for invoice.
func nearest(text string, words []string) string {
	if near := diag.Closest(text, words); near != "" {
		return near
	}
	const shortest = 4
	i := slices.IndexFunc(words, func(w string) bool {
		return min(len(w), len(text)) >= shortest && (strings.Contains(w, text) || strings.Contains(text, w))
	})
	if i < 0 {
		return ""
	}
	return words[i]
}

// names compiles a mapping that defines names, each seeing those before it.
func (c *values) names(n *yaml.Node, env formula.Env) []*engine.NamedValue {
	if !c.wantMapping(n, diag.Phrasef("this place takes names and formulas"), "write total: =… without a - before it") {
		return nil
	}
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	if len(m.Entries) == 0 {
		c.Errorf(n, "missing-key", "no name is defined here").Hint = "add a name and its formula"
	}
	out := []*engine.NamedValue{}
	env = with(env, nil, false) // a copy, to which each name is added
	for _, e := range m.Entries {
		v := c.value(e.Value, wantAny, env)
		if v == nil {
			v = &engine.Value{File: c.file, Node: e.Value, Type: formula.Type{Kind: formula.Any}}
		}
		out = append(out, &engine.NamedValue{Name: e.Name, Key: e.Key, Value: v})
		env.Vars[e.Name] = v.Type
		env.Trusted[e.Name] = !v.FromData()
	}
	return out
}

func namesType(names []*engine.NamedValue) formula.Type {
	fields := make(map[string]formula.Type, len(names))
	for _, n := range names {
		fields[n.Name] = n.Value.Type
	}
	return formula.RecordOf(fields)
}
