package rulefmt

import (
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// document is a file taken apart: entries with the comments that belong to them.
type document struct {
	src  *source
	head []comment // before everything else
	root *group

	comments     []string
	aliases      bool
	anchorsTwice bool
}

// group is a mapping or a list with its entries.
type group struct {
	node  *yaml.Node
	owner *item // the entry whose value it is; nil for the root
	items []*item
	foot  []comment // after the last entry, as far in as the entries
}

// item is an entry of a mapping or an element of a list.
type item struct {
	key   *yaml.Node // nil in a list
	value *yaml.Node
	in    *group
	sub   *group // the value, when it is a mapping or a list
	at    place

	head  []comment
	line  []comment // at most one, behind the entry
	blank bool      // an empty line stands before it
}

func (g *group) flow() bool { return g.node.Style&yaml.FlowStyle != 0 }

// modeline tells an editor which schema a file has. It stays on top.
const modeline = "# yaml-language-server:"

// read takes a file apart.
func read(f *yamlfile.File, text []byte) (*document, error) {
	d := &document{src: newSource(f, text)}
	if f.Root.Kind != yaml.MappingNode || len(f.Root.Content) == 0 || !d.src.measure(f.Root) {
		return nil, ErrShape
	}
	d.root = d.group(f.Root, nil, map[string]bool{})
	if d.root == nil {
		return nil, ErrShape
	}
	all := d.root.all(nil)
	var rest []comment
	first := all[0].at.line
	for _, c := range d.src.comments() {
		d.comments = append(d.comments, c.text)
		if c.own && c.at.line < first {
			d.head = append(d.head, c)
		} else {
			rest = append(rest, c)
		}
	}
	d.splitHead(all[0])
	for _, c := range rest {
		d.attach(c, all)
	}
	return d, nil
}

// group takes a collection apart; nil means that it cannot be written again.
func (d *document) group(n *yaml.Node, owner *item, anchors map[string]bool) *group {
	g := &group{node: n, owner: owner}
	d.note(n, anchors)
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i+step <= len(n.Content); i += step {
		it := &item{in: g, value: n.Content[i+step-1]}
		at := it.value
		if step == 2 {
			it.key = n.Content[i]
			at = it.key
			if at.Kind != yaml.ScalarNode && at.Kind != yaml.AliasNode || at.Style&blocks != 0 {
				return nil
			}
			d.note(it.key, anchors)
		}
		it.at = placeOf(d.src.file.Pos(at))
		if step == 1 && !g.flow() {
			it.at = d.dash(g, it.at)
		}
		it.blank = d.src.blankBefore(it.at.line)
		g.items = append(g.items, it)
		switch it.value.Kind {
		case yaml.MappingNode, yaml.SequenceNode:
			if it.sub = d.group(it.value, it, anchors); it.sub == nil {
				return nil
			}
		default:
			d.note(it.value, anchors)
		}
	}
	return g
}

func (d *document) note(n *yaml.Node, anchors map[string]bool) {
	d.aliases = d.aliases || n.Kind == yaml.AliasNode
	if n.Anchor != "" {
		d.anchorsTwice = d.anchorsTwice || anchors[n.Anchor]
		anchors[n.Anchor] = true
	}
}

// dash finds the - of a list's element: it is in the column of the list, on the line of
// the element's value or above it.
func (d *document) dash(g *group, content place) place {
	col := g.node.Column
	if p := placeOf(d.src.file.Pos(g.node)); d.src.at(p) == '-' {
		col = p.col
	} else if len(g.items) > 0 {
		col = g.items[0].at.col // the node stands at its anchor
	}
	for line := content.line; line > 0; line-- {
		p := place{line, col}
		if _, in := d.src.spanAt(p); !in && d.src.at(p) == '-' && p.before(content) {
			return p
		}
	}
	return content
}

// all lists the items below a group in the order of the file.
func (g *group) all(out []*item) []*item {
	for _, it := range g.items {
		out = append(out, it)
		if it.sub != nil {
			out = it.sub.all(out)
		}
	}
	return out
}

// splitHead gives the first entry those of the comments above it that stand
// right before it; the others, and modelines, belong to the file.
func (d *document) splitHead(first *item) {
	cut := len(d.head)
	if !first.blank {
		for cut > 0 && !strings.HasPrefix(d.head[cut-1].text, modeline) {
			cut--
			if d.head[cut].blank {
				break
			}
		}
	}
	first.head = append(first.head, d.head[cut:]...)
	d.head = d.head[:cut]
}

// attach finds out what a comment is about.
func (d *document) attach(c comment, all []*item) {
	next, prev := neighbours(c, all)
	switch {
	case !c.own:
		d.behind(c, prev, next)
	case c.flow != nil:
		d.inFlow(c, next)
	default:
		d.onOwnLine(c, next, prev)
	}
}

// neighbours are the items that begin after and before a comment.
func neighbours(c comment, all []*item) (next, prev *item) {
	i := sort.Search(len(all), func(i int) bool { return c.at.before(all[i].at) })
	if i < len(all) {
		next = all[i]
	}
	if i > 0 {
		prev = all[i-1]
	}
	return next, prev
}

// behind gives a comment to the entry on whose line it stands.
func (d *document) behind(c comment, prev, next *item) {
	it := prev
	for it != nil && !it.within(c.flow) {
		it = it.in.owner
	}
	if c.flow == nil {
		it = prev.outside()
	}
	if it == nil || it.in.node != c.flow && c.flow != nil && !it.within(c.flow) {
		d.inFlow(c, next)
		return
	}
	if len(it.line) > 0 {
		it.head = append(it.head, it.line...)
	}
	it.line = []comment{c}
}

// within reports whether an item is inside of a collection.
func (it *item) within(n *yaml.Node) bool {
	for g := it.in; n != nil; g = g.owner.in {
		if g.node == n {
			return true
		}
		if g.owner == nil {
			return false
		}
	}
	return false
}

// outside climbs out of {} and [].
func (it *item) outside() *item {
	for it.in.flow() && it.in.owner != nil {
		it = it.in.owner
	}
	return it
}

// inFlow gives a comment inside of {} or [] to the entry after it, or to the end
// of the collection.
func (d *document) inFlow(c comment, next *item) {
	if next != nil && next.within(c.flow) {
		next.head = append(next.head, c)
		return
	}
	g := d.find(c.flow)
	if len(g.items) > 0 || g.owner == nil {
		g.foot = append(g.foot, c)
		return
	}
	g.owner.head = append(g.owner.head, c)
}

func (d *document) find(n *yaml.Node) *group {
	for _, it := range d.root.all(nil) {
		if it.sub != nil && it.sub.node == n {
			return it.sub
		}
	}
	return d.root
}

// onOwnLine gives a comment to the entry after it, unless it stands further in:
// then it closes the block before.
func (d *document) onOwnLine(c comment, next, prev *item) {
	column := 0
	if next != nil {
		column = next.at.col
	}
	var best *item
	for it := prev.outside(); ; it = it.in.owner {
		if it.at.col > column && it.at.col <= c.at.col {
			best = it
			break
		}
		if it.in.owner == nil {
			break
		}
	}
	switch {
	case best != nil && (next == nil || c.at.col > column):
		best.in.foot = append(best.in.foot, c)
	case next != nil:
		next.head = append(next.head, c)
	default:
		d.root.foot = append(d.root.foot, c)
	}
}
