package rulefmt

import (
	"sort"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// place is a line and a column of the text, both from 1.
type place struct{ line, col int }

func (p place) before(q place) bool {
	return p.line < q.line || p.line == q.line && p.col < q.col
}

func placeOf(p diag.Pos) place { return place{p.Line, p.Column} }

// span is a piece of the text; to is the place after it.
type span struct{ from, to place }

// comment is a comment of the file.
type comment struct {
	text  string // with its #
	at    place
	own   bool // it has its line for itself
	blank bool // an empty line stands before it
	// flow is the innermost {} or [] around it.
	flow *yaml.Node
}

// source is the text of a file with the places of its scalars.
type source struct {
	file  *yamlfile.File
	lines [][]rune
	spans map[*yaml.Node]span // of scalars that have text
	order []span              // the same in the order of the file
	// brackets are the nodes of flow style by where they open.
	brackets map[place]*yaml.Node
}

func newSource(f *yamlfile.File, text []byte) *source {
	s := &source{file: f, spans: map[*yaml.Node]span{}, brackets: map[place]*yaml.Node{}}
	for l := range strings.SplitSeq(string(text), "\n") {
		s.lines = append(s.lines, []rune(l))
	}
	return s
}

// at returns the rune at a place, 0 at the end of a line or of the text.
func (s *source) at(p place) rune {
	if p.line < 1 || p.line > len(s.lines) || p.col < 1 || p.col > len(s.lines[p.line-1]) {
		return 0
	}
	return s.lines[p.line-1][p.col-1]
}

// find returns the place of the first of the runes at or after p.
func (s *source) find(p place, any string) (place, bool) {
	for ; p.line <= len(s.lines); p = (place{p.line + 1, 1}) {
		for ; p.col <= len(s.lines[p.line-1]); p.col++ {
			if strings.ContainsRune(any, s.at(p)) {
				return p, true
			}
		}
	}
	return p, false
}

// slice returns the text of a line between two columns.
func (s *source) slice(line, from, to int) string {
	l := s.lines[line-1]
	to = min(to, len(l)+1)
	if from >= to {
		return ""
	}
	return string(l[from-1 : to-1])
}

const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle

const blocks = yaml.LiteralStyle | yaml.FoldedStyle

// measure stores the places of the scalars and brackets below a node. It returns false if
// the place of one is unknown.
func (s *source) measure(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		sp, ok := s.scalarSpan(n)
		if ok && sp != (span{}) {
			s.spans[n] = sp
			s.order = append(s.order, sp)
		}
		return ok
	case yaml.MappingNode, yaml.SequenceNode:
		if n.Style&yaml.FlowStyle != 0 {
			open, ok := s.find(placeOf(s.file.Pos(n)), "[{")
			if !ok {
				return false
			}
			s.brackets[open] = n
		}
		for _, c := range n.Content {
			if !s.measure(c) {
				return false
			}
		}
	}
	return true
}

// scalarSpan is the text of a scalar, quotes included; of a block, its lines
// without the header. Nothing has no span.
func (s *source) scalarSpan(n *yaml.Node) (span, bool) {
	if n.Value == "" && n.Style&quotes == 0 {
		return span{}, true
	}
	from, to := s.file.Span(n, 0, len([]rune(n.Value)))
	sp := span{placeOf(from), placeOf(to)}
	if n.Value != "" && !sp.from.before(sp.to) {
		return span{}, false
	}
	if n.Style&blocks != 0 {
		header, ok := s.find(placeOf(s.file.Pos(n)), "|>")
		if sp.to.col == 1 {
			sp.to = place{sp.to.line - 1, len(s.lines[sp.to.line-2]) + 1}
		}
		return span{place{header.line + 1, 1}, sp.to}, ok
	}
	if n.Style&quotes == 0 {
		return sp, true
	}
	quote := `"`
	if n.Style&yaml.SingleQuotedStyle != 0 {
		quote = "'"
	}
	open, ok := s.find(placeOf(s.file.Pos(n)), quote)
	if !ok {
		return span{}, false
	}
	after := sp.to
	if n.Value == "" {
		after = place{open.line, open.col + 1}
	}
	end, ok := s.find(after, quote)
	return span{open, place{end.line, end.col + 1}}, ok
}

// comments finds all comments: a # outside of the scalars starts one.
func (s *source) comments() []comment {
	var out []comment
	var open []*yaml.Node
	for i := range s.lines {
		for p := (place{i + 1, 1}); p.col <= len(s.lines[i]); p.col++ {
			if sp, in := s.spanAt(p); in {
				if sp.to.line > p.line {
					break
				}
				p.col = sp.to.col - 1
				continue
			}
			switch s.at(p) {
			case '[', '{':
				if n := s.brackets[p]; n != nil {
					open = append(open, n)
				}
			case ']', '}':
				if len(open) > 0 {
					open = open[:len(open)-1]
				}
			case '#':
				c := comment{at: p, text: strings.TrimRightFunc(s.slice(p.line, p.col, len(s.lines[i])+1), unicode.IsSpace)}
				c.own = strings.TrimSpace(s.slice(p.line, 1, p.col)) == ""
				c.blank = s.blankBefore(p.line)
				if len(open) > 0 {
					c.flow = open[len(open)-1]
				}
				out = append(out, c)
				p.col = len(s.lines[i])
			}
		}
	}
	return out
}

// spanAt returns the scalar at a place.
func (s *source) spanAt(p place) (span, bool) {
	// The first that starts after p; the one before it may hold p.
	i := sort.Search(len(s.order), func(i int) bool { return p.before(s.order[i].from) })
	if i == 0 || !p.before(s.order[i-1].to) {
		return span{}, false
	}
	return s.order[i-1], true
}

// endsOn reports whether the last line of a scalar is this empty one.
func (s *source) endsOn(line int) bool {
	i := sort.Search(len(s.order), func(i int) bool { return line < s.order[i].from.line })
	return i > 0 && s.order[i-1].to.line >= line && s.order[i-1].from.line < line
}

// blankBefore reports whether the line before is empty and no part of a scalar.
func (s *source) blankBefore(line int) bool {
	if line < 2 || strings.TrimSpace(string(s.lines[line-2])) != "" {
		return false
	}
	// An empty line of a scalar has its line break in it.
	_, in := s.spanAt(place{line - 1, 1})
	return !in && !s.endsOn(line-1)
}
