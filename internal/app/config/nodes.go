package config

import (
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// scalar is a text of the configuration with its place. The zero value means that the
// file does not have it.
type scalar struct {
	text string
	pos  diag.Pos
	bad  bool // it is not text, and that is reported
}

// set reports whether the file has the value.
func (s scalar) set() bool { return s.pos.Line > 0 && !s.bad }

// UnmarshalNode implements yamlfile.NodeUnmarshaler. Its findings do not repeat the
// value, because it may be a secret.
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

// scalars is a list of texts. The file may have one text instead of a list.
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

// block says where a mapping of keys stands. The zero value means that the file does not
// have it.
type block struct {
	pos diag.Pos
	bad bool // it is no mapping, and that is reported
}

func (b block) set() bool { return b.pos.Line > 0 }

// decode reads the keys of the mapping. example is one, for the finding about what is none.
func (b *block) decode(f *yamlfile.File, n *yaml.Node, keys any, example string) diag.List {
	b.pos = f.Pos(n)
	if b.bad = yamlfile.Resolve(n).Kind != yaml.MappingNode; b.bad {
		return wrongType(b.pos, "want a mapping such as "+example)
	}
	return yamlfile.Decode(f, n, keys)
}

// oauthBlock is a portal's oauth with its place.
type oauthBlock struct {
	block
	oauthFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (o *oauthBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return o.decode(f, n, &o.oauthFile, "oauth: {portal: …, client_id: …, client_secret_file: …}")
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

// named is a value with its name.
type named[T any] struct {
	name string
	pos  diag.Pos // of the name
	in   T
}

// blocks are blocks of keys by name, in the order of the file.
type blocks[T any] struct{ all []named[T] }

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (b *blocks[T]) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		one := named[T]{name: e.Name, pos: f.Pos(e.Key)}
		list.Add(yamlfile.Decode(f, e.Value, &one.in)...)
		b.all = append(b.all, one)
	}
	return list
}

// NodeSchema implements yamlfile.NodeSchema.
func (b *blocks[T]) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.SchemaFor[T]())
}

// listenBlock is listen: an address, or how to obtain certificates.
type listenBlock struct {
	scalar
	secure bool // it is a mapping
	httpsFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (l *listenBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	if yamlfile.Resolve(n).Kind != yaml.MappingNode {
		return l.scalar.UnmarshalNode(f, n)
	}
	l.pos, l.secure = f.Pos(n), true
	return yamlfile.Decode(f, n, &l.httpsFile)
}

// Inputs holds the inputs of a portal: rule set, input, value.
type Inputs struct {
	Sets []SetInputs
	// Only says that the portal runs only the rule sets of Sets: it has use.
	Only bool
	// Off are the rule sets that use switches off. They are not among Sets.
	Off []SetInputs
	// env returns the variables for secrets; nil has none.
	env func(name string) (string, bool)
}

// NewInputs returns inputs that are not from a file.
func NewInputs(values map[string]map[string]string) Inputs {
	var t Inputs
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set := SetInputs{Name: name}
		for _, input := range slices.Sorted(maps.Keys(values[name])) {
			set.values = append(set.values, inputValue{name: input, scalar: scalar{text: values[name][input]}})
		}
		t.Sets = append(t.Sets, set)
	}
	return t
}

// SetInputs are the inputs of one rule set.
type SetInputs struct {
	// Name is the name of the rule set, or of its instance: SET@NAME. Pos is its place in the
	// file of the portal, or in the defaults.
	Name   string
	Pos    diag.Pos
	values []inputValue
	home   diag.Pos // the place in the portal for what is missing
}

type inputValue struct {
	name string
	pos  diag.Pos // of the name
	scalar
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (t *Inputs) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	sets, list := f.Mapping(n)
	for _, e := range sets.Entries {
		set := SetInputs{Name: e.Name, Pos: f.Pos(e.Key), home: f.Pos(e.Key)}
		list.Add(set.read(f, e.Value)...)
		t.Sets = append(t.Sets, set)
	}
	return list
}

// read reads the values of the inputs.
func (s *SetInputs) read(f *yamlfile.File, n *yaml.Node) diag.List {
	values, list := f.Mapping(n)
	for _, v := range values.Entries {
		in := inputValue{name: v.Name, pos: f.Pos(v.Key)}
		list.Add(in.UnmarshalNode(f, v.Value)...)
		s.values = append(s.values, in)
	}
	return list
}

// Texts returns the values by rule sets and names, as the file has them.
func (t Inputs) Texts() map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, set := range t.Sets {
		values := map[string]string{}
		for _, v := range set.values {
			values[v.name] = v.text
		}
		out[set.Name] = values
	}
	return out
}

// Set returns the inputs of a rule set.
func (t Inputs) Set(name string) (SetInputs, bool) {
	for _, s := range t.Sets {
		if s.Name == name {
			return s, true
		}
	}
	return SetInputs{}, false
}

// Expand replaces each ${NAME} in the value of a secret input by the variable of the
// environment. missing are the variables that do not exist.
func (t Inputs) Expand(text string) (filled string, missing []string) { return fillIn(text, t.env) }

// Values returns the texts of the inputs by their names.
func (s SetInputs) Values() map[string]string {
	out := make(map[string]string, len(s.values))
	for _, v := range s.values {
		out[v.name] = v.text
	}
	return out
}

// Place is the position of an input's value, or of its name for an input that
// the rule set does not know. A missing input has the position of its rule set in the portal,
// or of the portal if only the defaults have that.
func (s SetInputs) Place(input string, known bool) diag.Pos {
	for _, v := range s.values {
		switch {
		case v.name == input && known:
			return v.scalar.pos
		case v.name == input:
			return v.pos
		}
	}
	if s.home.Line > 0 {
		return s.home
	}
	return s.Pos
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
