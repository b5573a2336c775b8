package rulefmt

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Layout.
const (
	step  = 2   // columns of a level
	width = 100 // of a line with {} or []
	deep  = 2   // levels of {} and [] in one line
)

// printer writes a document.
type printer struct {
	d       *document
	b       strings.Builder
	reorder bool
}

func (d *document) print(reorder bool) []byte {
	p := &printer{d: d, reorder: reorder}
	p.comments(d.head, 0, true)
	items := p.order(d.root, inFile)
	first := d.root.all(nil)[0]
	if len(d.head) > 0 && (first.blank && len(first.head) == 0 || len(first.head) > 0 && first.head[0].blank) {
		p.b.WriteByte('\n')
	}
	p.items(items, 0, inFile, false)
	p.comments(d.root.foot, 0, false)
	return []byte(p.b.String())
}

func (p *printer) order(g *group, c context) []*item {
	if !p.reorder || g.node.Kind != yaml.MappingNode {
		return g.items
	}
	return c.ordered(g.items)
}

// comments writes comments that are alone on their lines.
func (p *printer) comments(list []comment, indent int, first bool) {
	for i, c := range list {
		if c.blank && !(first && i == 0) {
			p.b.WriteByte('\n')
		}
		p.indent(indent)
		p.b.WriteString(c.text)
		p.b.WriteByte('\n')
	}
}

func (p *printer) indent(n int) {
	for range n {
		p.b.WriteByte(' ')
	}
}

// items writes the entries of a block; with inline the first one stands behind
// the dash of a list.
func (p *printer) items(items []*item, indent int, c context, inline bool) {
	for i, it := range items {
		if i > 0 || !inline {
			p.above(it, indent, c, i == 0)
			p.indent(indent)
		}
		prefix := "-"
		if it.key != nil {
			prefix = p.key(it.key)
		}
		p.b.WriteString(prefix)
		p.value(it, indent, c.child(it), len([]rune(prefix)))
	}
}

// above writes what stands before an entry: comments and an empty line.
func (p *printer) above(it *item, indent int, c context, first bool) {
	heads := p.heads(it, c)
	if len(heads) == 0 {
		if !first && (it.blank || apart(it, c)) {
			p.b.WriteByte('\n')
		}
		return
	}
	if apart(it, c) {
		heads[0].blank = true
	}
	p.comments(heads, indent, first)
	if it.blank {
		p.b.WriteByte('\n')
	}
}

// apart reports whether an empty line always stands before an entry.
func apart(it *item, c context) bool {
	switch c {
	case inRules:
		return true
	case inFile:
		return it.sub != nil && slices.Contains([]string{"inputs", "vars", "rules"}, it.key.Value)
	}
	return false
}

// heads are the comments above an entry. Those of what stands behind the dash of
// a list have to stand above the dash.
func (p *printer) heads(it *item, c context) []comment {
	out := slices.Clone(it.head)
	if !p.dashed(it, c) {
		return out
	}
	out = append(out, it.line...)
	inner := c.child(it)
	return append(out, p.heads(p.order(it.sub, inner)[0], inner)...)
}

// dashed reports whether the block of an element starts after its dash.
func (p *printer) dashed(it *item, c context) bool {
	if it.key != nil || it.sub == nil || len(it.sub.items) == 0 || props(it.value) != "" {
		return false
	}
	_, flow := p.oneLine(it, c.child(it), 0)
	return !flow
}

// key is the text of a key with its colon.
func (p *printer) key(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode {
		return "*" + n.Value + " :"
	}
	text, _ := p.d.line(n, false)
	return props(n) + text + ":"
}

// props are the anchor and the tag before a value.
func props(n *yaml.Node) string {
	out := ""
	if n.Anchor != "" && n.Kind != yaml.AliasNode {
		out = "&" + n.Anchor + " "
	}
	if n.Style&yaml.TaggedStyle != 0 {
		out += n.Tag + " "
	}
	return out
}

// value writes what follows a key or a dash, up to the end of the line.
func (p *printer) value(it *item, indent int, c context, prefix int) {
	n := it.value
	switch {
	case n.Kind == yaml.AliasNode:
		p.b.WriteString(" *" + n.Value)
	case it.sub == nil:
		p.scalar(it, indent)
		return
	default:
		text, ok := p.oneLine(it, c, indent+prefix)
		if ok {
			p.b.WriteString(" " + props(n) + text)
			break
		}
		p.block(it, indent, c)
		return
	}
	p.endLine(it)
}

// block writes a collection with an entry on each line.
func (p *printer) block(it *item, indent int, c context) {
	items := p.order(it.sub, c)
	if it.key == nil && props(it.value) == "" {
		p.b.WriteByte(' ')
		p.items(items, indent+step, c, true)
	} else {
		if t := strings.TrimSpace(props(it.value)); t != "" {
			p.b.WriteString(" " + t)
		}
		p.endLine(it)
		p.items(items, indent+step, c, false)
	}
	p.comments(it.sub.foot, indent+step, false)
}

func (p *printer) endLine(it *item) {
	for _, c := range it.line {
		p.b.WriteString(" " + c.text)
	}
	p.b.WriteByte('\n')
}

func (p *printer) scalar(it *item, indent int) {
	lines := p.d.scalar(it.value)
	if text := props(it.value) + lines[0]; strings.TrimSpace(text) != "" {
		p.b.WriteString(" " + strings.TrimRight(text, " "))
	}
	rest := lines[1:]
	if it.value.Style&blocks != 0 {
		p.endLine(it) // a comment stands behind the header
	}
	for _, l := range rest {
		if it.value.Style&blocks == 0 {
			p.b.WriteByte('\n')
		}
		if l != "" {
			p.indent(indent + step)
			p.b.WriteString(l)
		}
		if it.value.Style&blocks != 0 {
			p.b.WriteByte('\n')
		}
	}
	if it.value.Style&blocks == 0 {
		p.endLine(it)
	}
}

// oneLine writes a collection as {} or []: an empty one, or one that is written
// so in the file, is short and has no comments.
func (p *printer) oneLine(it *item, c context, used int) (string, bool) {
	g := it.sub
	if len(g.items) == 0 {
		return map[bool]string{true: "{}", false: "[]"}[g.node.Kind == yaml.MappingNode], true
	}
	if !g.flow() || c.block() || g.commented() || g.depth() > deep {
		return "", false
	}
	text, ok := p.flow(g.node)
	text = strings.TrimPrefix(text, props(g.node))
	return text, ok && used+1+len([]rune(props(it.value)+text)) <= width
}

func (g *group) commented() bool {
	if len(g.foot) > 0 {
		return true
	}
	return slices.ContainsFunc(g.items, func(it *item) bool {
		return len(it.head) > 0 || len(it.line) > 0 || it.sub != nil && it.sub.commented()
	})
}

func (g *group) depth() int {
	inner := 0
	for _, it := range g.items {
		if it.sub != nil && len(it.sub.items) > 0 {
			inner = max(inner, it.sub.depth())
		}
	}
	return inner + 1
}

// flow writes a node in one line.
func (p *printer) flow(n *yaml.Node) (string, bool) {
	switch n.Kind {
	case yaml.AliasNode:
		return "*" + n.Value, true
	case yaml.ScalarNode:
		if n.Value == "" && n.Style&quotes == 0 {
			return "", false // nothing is clearer alone on a line
		}
		text, ok := p.d.line(n, true)
		return props(n) + text, ok
	}
	var parts []string
	for i := 0; i < len(n.Content); i++ {
		text, ok := p.flow(n.Content[i])
		if !ok {
			return "", false
		}
		if n.Kind == yaml.MappingNode {
			i++
			value, ok := p.flow(n.Content[i])
			if !ok || n.Content[i-1].Kind == yaml.AliasNode {
				return "", false
			}
			text += ": " + value
		}
		parts = append(parts, text)
	}
	if n.Kind == yaml.MappingNode {
		return props(n) + "{" + strings.Join(parts, ", ") + "}", true
	}
	return props(n) + "[" + strings.Join(parts, ", ") + "]", true
}
