package yamlfile

import (
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// Mapping is a YAML mapping with its entries in the order of the file.
type Mapping struct {
	Node    *yaml.Node
	Entries []Entry
}

// Entry is one key of a mapping with its value. Value may be an alias.
type Entry struct {
	Name       string
	Key, Value *yaml.Node
}

// Get returns the entry of that name.
func (m Mapping) Get(name string) (Entry, bool) {
	for _, e := range m.Entries {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// Names returns the names of all entries, in the order of the file.
func (m Mapping) Names() []string {
	names := make([]string, len(m.Entries))
	for i, e := range m.Entries {
		names[i] = e.Name
	}
	return names
}

// Mapping reads a node that must be a mapping. Any other node is a finding, with an empty
// mapping as the result. Mapping follows aliases and merges <<: keys of the mapping itself
// win over merged keys, and keys of an earlier merge over those of a later one. A key that
// is listed twice counts once; Parse has reported it.
func (f *File) Mapping(n *yaml.Node) (Mapping, diag.List) {
	var list diag.List
	m := Mapping{Node: Resolve(n)}
	if m.Node == nil || m.Node.Kind != yaml.MappingNode {
		list.Errorf(f.Pos(n), "wrong-type", "expected a mapping, got %s", describe(n))
		return m, list
	}
	entries := len(m.Node.Content) / 2
	m.Entries = make([]Entry, 0, entries)
	seen := make(map[string]bool, entries)
	m.add(m.Node, seen, 0)
	return m, list
}

func (m *Mapping) add(n *yaml.Node, seen map[string]bool, depth int) {
	if depth > MaxDepth {
		return
	}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := Resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key == nil || key.Kind != yaml.ScalarNode:
		case isMerge(key):
			merges = append(merges, value)
		case !seen[key.Value]:
			seen[key.Value] = true
			m.Entries = append(m.Entries, Entry{Name: key.Value, Key: n.Content[i], Value: value})
		}
	}
	for _, v := range merges {
		parts := []*yaml.Node{v}
		if r := Resolve(v); r != nil && r.Kind == yaml.SequenceNode {
			parts = r.Content
		}
		for _, p := range parts {
			if r := Resolve(p); r != nil && r.Kind == yaml.MappingNode {
				m.add(r, seen, depth+1)
			}
		}
	}
}
