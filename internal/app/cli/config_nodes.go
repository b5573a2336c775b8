package cli

import (
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// scalar is a text of the configuration that knows its place. The zero value
// is one that the file does not have.
type scalar struct {
	text string
	pos  diag.Pos
	bad  bool // it is no text, and that has been reported
}

// set reports whether the file has the value.
func (s scalar) set() bool { return s.pos.Line > 0 && !s.bad }

// UnmarshalNode implements yamlfile.NodeUnmarshaler. It does not repeat what
// stands there: it may be a secret.
func (s *scalar) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	s.pos = f.Pos(n)
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		s.bad = true
		return wrongType(s.pos, "want text, got "+kindName(n))
	}
	s.text = n.Value
	return nil
}

// scalars is a list of texts; one alone need not be written as a list.
type scalars struct {
	all []scalar
	pos diag.Pos
	bad bool // some of it is no text
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (s *scalars) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	s.pos = f.Pos(n)
	items := []*yaml.Node{n}
	if r := yamlfile.Resolve(n); r.Kind == yaml.SequenceNode {
		items = r.Content
	}
	var list diag.List
	for _, item := range items {
		var one scalar
		list.Add(one.UnmarshalNode(f, item)...)
		if s.bad = s.bad || one.bad; !one.bad {
			s.all = append(s.all, one)
		}
	}
	return list
}

// oauthBlock is a portal's oauth with its place.
type oauthBlock struct {
	pos diag.Pos
	bad bool // it is no mapping
	oauthFile
}

func (o oauthBlock) set() bool { return o.pos.Line > 0 }

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (o *oauthBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	o.pos = f.Pos(n)
	if o.bad = yamlfile.Resolve(n).Kind != yaml.MappingNode; o.bad {
		return wrongType(o.pos, "want a mapping such as oauth: {portal: …, client_id: …, client_secret_file: …}")
	}
	return yamlfile.Decode(f, n, &o.oauthFile)
}

// catchUpBlock is catch_up: off, on, or its limits.
type catchUpBlock struct {
	pos diag.Pos
	off bool
	catchUpFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (c *catchUpBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	c.pos = f.Pos(n)
	switch n := yamlfile.Resolve(n); {
	case n.Kind == yaml.MappingNode:
		return yamlfile.Decode(f, n, &c.catchUpFile)
	case n.Kind == yaml.ScalarNode && (n.Value == "off" || n.Value == "false"):
		c.off = true
		return nil
	case n.Kind == yaml.ScalarNode && (n.Value == "on" || n.Value == "true"):
		return nil
	}
	return wrongType(c.pos, "want off, on or limits such as catch_up: {longest: 7d, entities: 5000, margin: 10m}")
}

// portalFiles are the portals in the order of the file.
type portalFiles struct {
	all []namedPortal
	pos diag.Pos
}

type namedPortal struct {
	name string
	pos  diag.Pos
	portalFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (p *portalFiles) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	p.pos = f.Pos(n)
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		one := namedPortal{name: e.Name, pos: f.Pos(e.Key)}
		list.Add(yamlfile.Decode(f, e.Value, &one.portalFile)...)
		p.all = append(p.all, one)
	}
	return list
}

// inputTable holds the inputs of a portal: rule set, input, value.
type inputTable struct {
	sets []setInputs
	// env is where secrets may come from; nil is nowhere.
	env func(name string) (string, bool)
}

// setInputs are the inputs of one rule set.
type setInputs struct {
	name   string
	pos    diag.Pos
	values []inputValue
}

type inputValue struct {
	name string
	pos  diag.Pos // of the name
	scalar
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (t *inputTable) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	sets, list := f.Mapping(n)
	for _, e := range sets.Entries {
		set := setInputs{name: e.Name, pos: f.Pos(e.Key)}
		values, found := f.Mapping(e.Value)
		list.Add(found...)
		for _, v := range values.Entries {
			in := inputValue{name: v.Name, pos: f.Pos(v.Key)}
			list.Add(in.UnmarshalNode(f, v.Value)...)
			set.values = append(set.values, in)
		}
		t.sets = append(t.sets, set)
	}
	return list
}

// set returns the inputs of a rule set as BindInputs wants them, and where
// they stand.
func (t inputTable) set(name string) (setInputs, bool) {
	for _, s := range t.sets {
		if s.name == name {
			return s, true
		}
	}
	return setInputs{}, false
}

func (s setInputs) given() map[string]string {
	out := make(map[string]string, len(s.values))
	for _, v := range s.values {
		out[v.name] = v.text
	}
	return out
}

// givenTo is given with the variables of the environment filled in where a
// secret is wanted. Elsewhere ${x} is text.
func (s setInputs) givenTo(set *engine.RuleSet, env func(string) (string, bool)) (map[string]string, diag.List) {
	out := s.given()
	var list diag.List
	for _, in := range set.Inputs {
		text, ok := out[in.Name]
		if in.Type != engine.TypeSecret || !ok {
			continue
		}
		filled, missing := fillIn(text, env)
		for _, name := range missing {
			list.Errorf(s.place(in.Name, true), "missing-variable", "the environment has no variable %s", name)
		}
		out[in.Name] = filled
		if len(missing) > 0 {
			out[in.Name] = text // which is no secret, and was reported
		}
	}
	return out, list
}

// place is where an input stands: its value, or its name when that is what is
// wrong. One that is not there is missed at its rule set.
func (s setInputs) place(input string, known bool) diag.Pos {
	for _, v := range s.values {
		switch {
		case v.name == input && known:
			return v.scalar.pos
		case v.name == input:
			return v.pos
		}
	}
	return s.pos
}

func wrongType(pos diag.Pos, message string) diag.List {
	var list diag.List
	list.Errorf(pos, "wrong-type", "%s", message)
	return list
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "nothing"
}
