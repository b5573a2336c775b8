package yamlfile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// checkCells verifies the places of each rune of each scalar against the source.
func checkCells(t testing.TB, f *File, n *yaml.Node) (scalars, unmapped int) {
	t.Helper()
	if n == nil || n.Kind == yaml.AliasNode {
		return 0, 0
	}
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		scalars++
		cells := f.cells(n)
		if cells == nil {
			unmapped++
		}
		if end, ok := f.text.verbatimEnd(n); ok {
			want := -1
			if cells != nil {
				want = cells[len(cells)-1].to
			}
			if n.Style != 0 {
				want++
			}
			if end != want {
				t.Fatalf("%q ends at %d, its cells at %d", n.Value, end, want)
			}
		}
		last := -1
		for i, c := range cells {
			src := f.text.slice(c.from, c.to)
			if !stands(c.r, src, n.Style) || c.from <= last {
				t.Fatalf("rune %d %q of %q stands at %d…%d after %d, where the source has %q", i, c.r, n.Value, c.from, c.to, last, src)
			}
			last = c.from
		}
	}
	for _, child := range n.Content {
		s, u := checkCells(t, f, child)
		scalars, unmapped = scalars+s, unmapped+u
	}
	return scalars, unmapped
}

// stands reports whether the source text can be one rune of a value.
func stands(r rune, src string, style yaml.Style) bool {
	switch {
	case src == string(r):
		return true
	case r == '\n' || r == ' ': // line breaks of all kinds, folded or not
		switch src {
		case "\n", "\r", "\r\n", "\u0085":
			return true
		}
	case r == '\'' && src == "''":
		return true
	}
	return style&yaml.DoubleQuotedStyle != 0 && strings.HasPrefix(src, `\`) && len(src) > 1
}

func TestCellsOfEveryStyle(t *testing.T) {
	tests := []struct{ name, src, value, want string }{
		// want has each rune of the value with its line:column.
		{name: "plain", src: "a: =x", value: "=x", want: "1:4 1:5"},
		{name: "plain over lines", src: "a: =x\n  + y", value: "=x + y", want: "1:4 1:5 1:6 2:3 2:4 2:5"},
		{name: "plain over an empty line", src: "a: x\n\n\n  y", value: "x\n\ny", want: "1:4 2:1 3:1 4:3"},
		{name: "plain with a tab", src: "a: x\ty", value: "x\ty", want: "1:4 1:5 1:6"},
		{name: "single quotes", src: "a: 'it''s'", value: "it's", want: "1:5 1:6 1:7 1:9"},
		{name: "single quotes over lines", src: "a: 'x \n   y'", value: "x y", want: "1:5 1:7 2:4"},
		{name: "escapes", src: `a: "\tb\u0041\x42\"\\"`, value: "\tbAB\"\\", want: "1:5 1:7 1:8 1:14 1:18 1:20"},
		{name: "escaped line break", src: "a: \"x\\\n   y\"", value: "xy", want: "1:5 2:4"},
		{name: "escaped line break and empty line", src: "a: \"x\\\n\n   y\"", value: "x\ny", want: "1:5 2:1 3:4"},
		{name: "double quotes over lines", src: "a: \"x\n  y\n\n  z\"", value: "x y\nz", want: "1:5 1:6 2:3 3:1 4:3"},
		{name: "literal", src: "a: |\n  x\n   y\n", value: "x\n y\n", want: "2:3 2:4 3:3 3:4 3:5"},
		{name: "literal stripped", src: "a: |-\n  x\n\n", value: "x", want: "2:3"},
		{name: "literal kept", src: "a: |+\n  x\n\n", value: "x\n\n", want: "2:3 2:4 3:1"},
		{name: "literal with leading lines", src: "a: |\n\n  x", value: "\nx", want: "2:1 3:3"},
		{name: "literal with an indicator", src: "a: |1\n  x\n", value: " x\n", want: "2:2 2:3 2:4"},
		{name: "literal with a comment", src: "a: |  # why\n  x\n", value: "x\n", want: "2:3 2:4"},
		{name: "folded", src: "a: >\n  x\n  y\n\n  z\n", value: "x y\nz\n", want: "2:3 2:4 3:3 4:1 5:3 5:4"},
		{name: "folded with an indented line", src: "a: >\n  x\n    y\n  z\n", value: "x\n  y\nz\n", want: "2:3 2:4 3:3 3:4 3:5 3:6 4:3 4:4"},
		{name: "tag and anchor", src: "a: !!str &x =y", value: "=y", want: "1:13 1:14"},
		{name: "anchor of a block", src: "a: &x |-\n  y", value: "y", want: "2:3"},
		{name: "anchor on its own line", src: "a: &x\n  y", value: "y", want: "2:3"},
		{name: "byte order mark", src: "\ufeffa: =x", value: "=x", want: "1:4 1:5"},
		{name: "CRLF", src: "b: 1\r\na: x\r\n  y\r\n", value: "x y", want: "2:4 2:5 3:3"},
		{name: "CRLF in a block", src: "a: |\r\n  x\r\n  y\r\n", value: "x\ny\n", want: "2:3 2:4 3:3 3:4"},
		{name: "Cyrillic", src: "a: сумма × 2", value: "сумма × 2", want: "1:4 1:5 1:6 1:7 1:8 1:9 1:10 1:11 1:12"},
		{name: "emoji", src: "a: '👍🏽 x'", value: "👍🏽 x", want: "1:5 1:6 1:7 1:8"},
		{name: "line separator is a line of YAML only", src: "b: x\u2028a: y", value: "y", want: "1:9"},
		{name: "flow", src: "{b: 1, a: =x + y}", value: "=x + y", want: "1:11 1:12 1:13 1:14 1:15 1:16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, list := Parse("x.yaml", []byte(tt.src))
			if len(list) > 0 {
				t.Fatal(list)
			}
			m, _ := f.Mapping(f.Root)
			e, _ := m.Get("a")
			if e.Value.Value != tt.value {
				t.Fatalf("the value is %q, want %q", e.Value.Value, tt.value)
			}
			checkCells(t, f, f.Root)
			var got []string
			for i := range []rune(tt.value) {
				p := f.At(e.Value, i)
				got = append(got, fmt.Sprintf("%d:%d", p.Line, p.Column))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestCellsFallBackToTheNode(t *testing.T) {
	f, _ := Parse("x.yaml", []byte("a: hello\n"))
	n := *f.Root.Content[1]
	n.Value = "something else"
	if got := f.At(&n, 5).String(); got != "x.yaml:1:4" {
		t.Errorf("got %s, want the node's own place", got)
	}
	if got := f.At(nil, 3).String(); got != "x.yaml:1:1" {
		t.Errorf("got %s for a nil node", got)
	}
}

func TestSpan(t *testing.T) {
	f, _ := Parse("x.yaml", []byte("a: &n \"x\\u0041y\"\nb: *n\n"))
	for _, n := range []*yaml.Node{f.Root.Content[1], f.Root.Content[3]} {
		for _, tt := range []struct {
			from, to   int
			start, end string
		}{
			{0, 1, "x.yaml:1:8", "x.yaml:1:9"},
			{1, 2, "x.yaml:1:9", "x.yaml:1:15"},
			{1, 3, "x.yaml:1:9", "x.yaml:1:16"},
			{3, 3, "x.yaml:1:16", "x.yaml:1:16"},
			{99, 120, "x.yaml:1:16", "x.yaml:1:16"},
			{-5, 1, "x.yaml:1:8", "x.yaml:1:9"},
			{2, 0, "x.yaml:1:15", "x.yaml:1:15"},
		} {
			start, end := f.Span(n, tt.from, tt.to)
			if start.String() != tt.start || end.String() != tt.end {
				t.Errorf("Span(%d, %d) = %s, %s, want %s, %s", tt.from, tt.to, start, end, tt.start, tt.end)
			}
		}
	}
}

// TestCellsRoundTrip writes random values with yaml.v3 in every style, reads them back, and
// requires a place for every rune.
func TestCellsRoundTrip(t *testing.T) {
	alphabet := []rune("ab =+.#:,[]{}?'\"\\\n\n  \tÿжЩ×👍{}&*!|>-%@`")
	styles := []yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle, yaml.TaggedStyle}
	r := rand.New(rand.NewPCG(1, 2))
	var scalars, unmapped int
	for range 4000 {
		var b strings.Builder
		for range 1 + r.IntN(30) {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: b.String(), Style: styles[r.IntN(len(styles))]}
		if r.IntN(4) == 0 {
			value.Anchor = "an"
		}
		doc := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: "ключ"},
			{Kind: yaml.SequenceNode, Content: []*yaml.Node{value, {Kind: yaml.ScalarNode, Tag: "!!str", Value: "end"}}},
		}}
		if r.IntN(4) == 0 {
			doc.Content[1].Style = yaml.FlowStyle
		}
		src, err := yaml.Marshal(doc)
		if err != nil {
			continue
		}
		if r.IntN(3) == 0 {
			src = []byte(strings.ReplaceAll(string(src), "\n", "\r\n"))
		}
		f, list := Parse("x.yaml", src)
		if list.HasErrors() {
			continue // yaml.v3 writes some texts that it cannot read
		}
		s, u := checkCells(t, f, f.Root)
		scalars, unmapped = scalars+s, unmapped+u
		if u > 0 {
			t.Errorf("unmapped: %q", src)
		}
	}
	if scalars < 8000 {
		t.Errorf("only %d scalars were tried", scalars)
	}
}
