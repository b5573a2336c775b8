package yamlfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// decode is d.Decode, with an error instead of a panic of yaml.v3.
func decode(d *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return d.Decode(n)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// printable reports the first byte that is not UTF-8 and the first character
// that YAML does not allow.
func (f *File) printable(src string, list *diag.List) bool {
	offset := 0
	for at, r := range src {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(src[at:], string(utf8.RuneError)):
			list.Errorf(f.pos(offset), "yaml-encoding", "the byte 0x%02x is not UTF-8", src[at]).Hint = "save the file as UTF-8"
			return false
		case !allowed(r):
			list.Errorf(f.pos(offset), "yaml-encoding", "the control character U+%04X is not allowed in YAML", r).
				Hint = "remove it, or write it as an escape in double quotes"
			return false
		}
		offset++
	}
	return true
}

// allowed follows the reader of yaml.v3.
func allowed(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == 0x85:
		return true
	case r >= 0x20 && r <= 0x7e:
		return true
	}
	return r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
}

// bounded checks the limits on nodes and depth. It refuses an alias inside its own anchor,
// because code that follows it would never end.
func (f *File) bounded(root *yaml.Node, list *diag.List) bool {
	b := bounds{f: f, list: list, size: map[*yaml.Node]extent{}, open: map[*yaml.Node]bool{}}
	e := b.measure(root, 1)
	if b.failed {
		return false
	}
	if e.nodes > MaxNodes {
		list.Errorf(f.pos(0), "yaml-limit", "the file has more than %d nodes with its aliases expanded", MaxNodes)
		return false
	}
	return true
}

// extent is the size of a tree with its aliases expanded.
type extent struct{ nodes, depth int }

type bounds struct {
	f      *File
	list   *diag.List
	size   map[*yaml.Node]extent // of anchored nodes
	open   map[*yaml.Node]bool   // anchored nodes around this one
	failed bool
}

func (b *bounds) measure(n *yaml.Node, depth int) extent {
	if n == nil || b.failed {
		return extent{}
	}
	if depth > MaxDepth {
		b.fail(n, "yaml-limit", "nested deeper than %d levels", MaxDepth)
		return extent{}
	}
	if n.Kind == yaml.AliasNode {
		if b.open[n.Alias] {
			b.fail(n, "yaml-alias", "the alias *%s is inside its own anchor", n.Value)
			return extent{}
		}
		e := b.size[n.Alias]
		if depth+e.depth-1 > MaxDepth {
			b.fail(n, "yaml-limit", "nested deeper than %d levels by the alias *%s", MaxDepth, n.Value)
		}
		return e
	}
	if n.Anchor != "" {
		b.open[n] = true
		defer delete(b.open, n)
	}
	e := extent{nodes: 1, depth: 1}
	for _, child := range n.Content {
		c := b.measure(child, depth+1)
		e.nodes = min(e.nodes+c.nodes, MaxNodes+1)
		e.depth = max(e.depth, c.depth+1)
	}
	if n.Anchor != "" {
		b.size[n] = e
	}
	return e
}

func (b *bounds) fail(n *yaml.Node, code, format string, args ...any) {
	b.list.Errorf(b.f.Pos(n), code, format, args...)
	b.failed = true
}

// maxSame is the most findings of one kind: for a file with 100,000 duplicate keys, a few
// are enough.
const maxSame = 100

// check reports what yaml.v3 accepts and b24rules does not: duplicate keys, keys that are
// not text, unknown tags, and merges of other values than mappings.
func (f *File) check(list *diag.List) {
	c := checker{f: f, list: list, left: maxSame}
	c.walk(f.Root)
}

type checker struct {
	f    *File
	list *diag.List
	left int
}

func (c *checker) errorf(n *yaml.Node, code, format string, args ...any) *diag.Finding {
	if c.left--; c.left < 0 {
		return &diag.Finding{}
	}
	return c.list.Errorf(c.f.Pos(n), code, format, args...)
}

func (c *checker) walk(n *yaml.Node) {
	if n == nil || n.Kind == yaml.AliasNode {
		return
	}
	c.tag(n)
	if n.Kind == yaml.MappingNode {
		c.keys(n)
	}
	for _, child := range n.Content {
		c.walk(child)
	}
}

func (c *checker) tag(n *yaml.Node) {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp", "!!merge":
		return
	}
	if n.Style&yaml.TaggedStyle == 0 && n.Tag != "!" {
		return
	}
	c.errorf(n, "yaml-tag", "YAML reads %q as a tag, and this tag is unknown", n.Tag).Hint = "remove it"
}

func (c *checker) keys(n *yaml.Node) {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := Resolve(n.Content[i])
		if key == nil || key.Kind != yaml.ScalarNode {
			c.errorf(n.Content[i], "yaml-key", "a key must be text, got %s", describe(key))
			continue
		}
		if first, dup := seen[key.Value]; dup {
			line, _ := c.f.text.place(c.f.text.offset(first.Line, first.Column))
			finding := c.errorf(n.Content[i], "duplicate-key", "the key %q is listed twice, first on line %d", key.Value, line)
			finding.Hint = "remove one of them"
			if isMerge(key) {
				finding.Hint = "merge several with a list: <<: [*a, *b]"
			}
			continue
		}
		seen[key.Value] = n.Content[i]
		if isMerge(key) {
			c.merge(n.Content[i+1])
		}
	}
}

func (c *checker) merge(value *yaml.Node) {
	parts := []*yaml.Node{value}
	if r := Resolve(value); r != nil && r.Kind == yaml.SequenceNode {
		parts = r.Content
	}
	for _, p := range parts {
		if r := Resolve(p); r == nil || r.Kind != yaml.MappingNode {
			c.errorf(p, "yaml-merge", "<< merges a mapping into this one, got %s", describe(r)).
				Hint = "write <<: *name, or quote the key"
		}
	}
}

func isMerge(key *yaml.Node) bool { return key.Tag == "!!merge" }

// describe names the kind of a node for messages.
func describe(n *yaml.Node) string {
	n = Resolve(n)
	switch {
	case n == nil:
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "an empty value"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + shorten(n.Value)
	case n.Tag == "!!bool":
		return n.Value
	}
	return fmt.Sprintf("the text %q", shorten(n.Value))
}

func shorten(s string) string {
	r := []rune(s)
	if len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}
