package rulefmt

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// same checks a result: it has the same values in the same order, and each comment of
// the file once.
func (d *document) same(out []byte, reorder bool) bool {
	f, list := yamlfile.Parse(d.src.file.Name, out)
	if list.HasErrors() || f.Root == nil {
		return false
	}
	again, err := read(f, out)
	if err != nil {
		return false
	}
	p := &printer{d: d, reorder: reorder}
	return p.equal(d.root, f.Root, inFile) && slices.Equal(sorted(d.comments), sorted(again.comments))
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// equal compares a group with what was read from its printed form.
func (p *printer) equal(g *group, n *yaml.Node, c context) bool {
	if !equalHead(g.node, n) {
		return false
	}
	var want []*yaml.Node
	var items []*item
	for _, it := range p.order(g, c) {
		if it.key != nil {
			want, items = append(want, it.key), append(items, nil)
		}
		want, items = append(want, it.value), append(items, it)
	}
	if len(want) != len(n.Content) {
		return false
	}
	for i, w := range want {
		if it := items[i]; it != nil && it.sub != nil {
			if !p.equal(it.sub, n.Content[i], c.child(it)) {
				return false
			}
		} else if !equalHead(w, n.Content[i]) {
			return false
		}
	}
	return true
}

func equalHead(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && a.ShortTag() == b.ShortTag() && a.Anchor == b.Anchor
}
