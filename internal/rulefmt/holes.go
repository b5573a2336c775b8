package rulefmt

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// edit replaces runes of one line.
type edit struct {
	from, to place // on one line
	text     string
}

// respaceHoles writes the holes of texts as {{ formula }}: without =, with one
// blank at each side.
func respaceHoles(f *yamlfile.File, text []byte) ([]byte, bool) {
	var edits []edit
	var walk func(n *yaml.Node, c context)
	walk = func(n *yaml.Node, c context) {
		switch n.Kind {
		case yaml.ScalarNode:
			if c == inValues {
				edits = append(edits, holeEdits(f, n)...)
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				it := &item{key: n.Content[i], value: n.Content[i+1]}
				if c == inValues {
					walk(it.key, c)
				}
				walk(it.value, c.child(it))
			}
		case yaml.SequenceNode:
			for _, e := range n.Content {
				walk(e, c.child(&item{value: e}))
			}
		}
	}
	walk(f.Root, inFile)
	if len(edits) == 0 {
		return text, false
	}
	slices.SortFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(b.from.line, a.from.line), cmp.Compare(b.from.col, a.from.col))
	})
	lines := strings.Split(string(text), "\n")
	for _, e := range edits { // from the end, so that columns stay right
		l := []rune(lines[e.from.line-1])
		lines[e.from.line-1] = string(l[:e.from.col-1]) + e.text + string(l[e.to.col-1:])
	}
	return []byte(strings.Join(lines, "\n")), true
}

// holeEdits are the changes for one scalar.
func holeEdits(f *yamlfile.File, n *yaml.Node) []edit {
	if strings.HasPrefix(n.Value, "=") || !formula.HasHole(n.Value) || n.Style&yaml.FoldedStyle != 0 {
		return nil
	}
	value := []rune(n.Value)
	var out []edit
	for _, h := range formula.Holes(n.Value) {
		inner := string(value[h.From:h.To])
		trimmed := strings.TrimLeft(inner, " \t\n")
		if rest, ok := strings.CutPrefix(trimmed, "="); ok && !strings.HasPrefix(rest, "=") {
			trimmed = strings.TrimLeft(rest, " \t\n")
		}
		begin := h.To - len([]rune(trimmed))
		trimmed = strings.TrimRight(trimmed, " \t\n")
		end := begin + len([]rune(trimmed))
		if trimmed == "" || trimmed[0] == '=' || !takesBlanks(n, trimmed) {
			continue
		}
		for _, gap := range [][2]int{{end, h.To}, {h.From, begin}} {
			if e, ok := gapEdit(f, n, gap[0], gap[1]); ok {
				out = append(out, e)
			}
		}
	}
	return out
}

// takesBlanks reports whether a formula may be between blanks: in plain YAML " #" is a
// comment and ": " a key.
func takesBlanks(n *yaml.Node, formula string) bool {
	plain := n.Style&(quotes|blocks) == 0
	return !plain || formula[0] != '#' && !strings.HasSuffix(formula, ":")
}

// gapEdit makes the runes from…to of a scalar one blank, unless they are one or are on
// several lines.
func gapEdit(f *yamlfile.File, n *yaml.Node, from, to int) (edit, bool) {
	start, end := f.Span(n, from, to)
	value := []rune(n.Value)
	gap := string(value[from:to])
	if gap == " " || strings.ContainsFunc(gap, unicode.IsControl) || start.Line != end.Line || start == f.Pos(n) {
		return edit{}, false
	}
	return edit{placeOf(start), placeOf(end), " "}, true
}
