package yamlfile

import (
	"gopkg.in/yaml.v3"
)

// A cell is the place of one rune of a scalar's value in the source. The rune of an
// escape or of a folded line break comes from several runes of the source.
type cell struct {
	r        rune
	from, to int // offsets in the source
}

// cells maps each rune of the scalar's value to its place in the source, by reading the
// source as libyaml does. It compares the result with the value. Nil means that they
// differ, so that only the place of the node is known.
func (f *File) cells(n *yaml.Node) []cell {
	if n == nil || n.Kind != yaml.ScalarNode || n.Line < 1 {
		return nil
	}
	value := []rune(n.Value)
	start := f.text.content(f.text.offset(n.Line, n.Column))
	s := scalarReader{text: f.text, want: len(value)}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return s.block(start, n.Style&yaml.LiteralStyle != 0, value)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		s.quoted(start, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		s.quoted(start, '\'')
	default:
		s.plain(start)
	}
	return spelled(s.cells, value)
}

// verbatimEnd returns the end of a scalar that the file spells as its value, with or without
// quotes. Most are like that.
func (t text) verbatimEnd(n *yaml.Node) (end int, ok bool) {
	if n.Line < 1 {
		return 0, false
	}
	end = t.offset(n.Line, n.Column)
	quote := t.at(end)
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && (quote == '"' || quote == '\'')
	if quoted {
		end++
	} else if n.Style != 0 {
		return 0, false
	}
	for _, r := range n.Value {
		if t.at(end) != r || quoted && (r == quote || r == '\\') {
			return 0, false
		}
		end++
	}
	if !quoted {
		return end, true
	}
	return end + 1, t.at(end) == quote
}

// spelled returns the cells of the value, or nil if they differ from the value.
func spelled(cells []cell, value []rune) []cell {
	if len(cells) < len(value) {
		return nil
	}
	for i, r := range value {
		if cells[i].r != r {
			return nil
		}
	}
	return cells[:len(value):len(value)]
}

// content skips the tag and the anchor before the content of a node. Line breaks and
// comments may follow both.
func (t text) content(i int) int {
	for range 2 { // at most one tag and one anchor
		switch t.at(i) {
		case '&':
			i = t.skipAnchor(i)
			continue
		case '!':
			for i++; t.at(i) != 0 && !isBlank(t.at(i)) && t.breakAt(i) == 0; i++ {
			}
		default:
			return i
		}
		i = t.skipBlank(i)
	}
	return i
}

// skipAnchor returns the offset of what follows the anchor at i.
func (t text) skipAnchor(i int) int {
	for i++; isAnchorRune(t.at(i)); i++ {
	}
	return t.skipBlank(i)
}

func (t text) skipBlank(i int) int {
	for i < len(t.runes) {
		switch {
		case isBlank(t.at(i)):
			i++
		case t.breakAt(i) > 0:
			i += t.breakAt(i)
		case t.at(i) == '#':
			for i < len(t.runes) && t.breakAt(i) == 0 {
				i++
			}
		default:
			return i
		}
	}
	return i
}

// isAnchorRune follows libyaml, which ends an anchor's name at the first
// character that is not a letter, digit, dash or underscore of ASCII.
func isAnchorRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_' || r == '-'
}

// scalarReader emits the cells of one scalar until it has as many as the value has runes.
type scalarReader struct {
	text
	want  int
	cells []cell
}

func (s *scalarReader) full() bool { return len(s.cells) >= s.want }

func (s *scalarReader) emit(r rune, from, to int) {
	s.cells = append(s.cells, cell{r, from, to})
}

// plain reads a plain scalar. The length of the value shows its end.
func (s *scalarReader) plain(i int) {
	for !s.full() && i < len(s.runes) {
		if isBlank(s.at(i)) || s.breakAt(i) > 0 {
			i = s.blanks(i, false)
			continue
		}
		s.emit(s.at(i), i, i+1)
		i++
	}
}

// quoted reads a single- or double-quoted scalar from its opening quote.
func (s *scalarReader) quoted(i int, quote rune) {
	if s.at(i) != quote {
		return
	}
	for i++; !s.full() && i < len(s.runes); {
		r := s.at(i)
		switch {
		case isBlank(r) || s.breakAt(i) > 0:
			i = s.blanks(i, false)
		case r == quote && (quote == '"' || s.at(i+1) != quote):
			return
		case r == quote:
			s.emit(r, i, i+2)
			i += 2
		case r == '\\' && quote == '"' && s.breakAt(i+1) > 0:
			i = s.blanks(i+1+s.breakAt(i+1), true)
		case r == '\\' && quote == '"':
			value, n := s.escape(i)
			s.emit(value, i, i+n)
			i += n
		default:
			s.emit(r, i, i+1)
			i++
		}
	}
}

// blanks reads white space inside a flow scalar: blanks on one line stay, the
// first line break becomes a space unless more breaks follow it, and each of
// those stays. After an escaped line break there is no first break to fold.
func (s *scalarReader) blanks(i int, escaped bool) int {
	start, first := i, -1
	var breaks []cell
	for i < len(s.runes) && (isBlank(s.at(i)) || s.breakAt(i) > 0) {
		n := s.breakAt(i)
		switch {
		case n == 0:
			i++
			continue
		case first < 0 && !escaped:
			first = i
		default:
			breaks = append(breaks, cell{s.breakRune(i), i, i + n})
		}
		i += n
	}
	switch {
	case escaped:
	case first < 0:
		for j := start; j < i; j++ {
			s.emit(s.at(j), j, j+1)
		}
	case s.breakRune(first) != '\n':
		s.emit(s.breakRune(first), first, first+1)
	case len(breaks) == 0:
		s.emit(' ', first, first+s.breakAt(first))
	}
	s.cells = append(s.cells, breaks...)
	return i
}

// escape reads the escape at the offset and returns its value and length.
func (s *scalarReader) escape(i int) (r rune, n int) {
	digits := 0
	switch c := s.at(i + 1); c {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		return escapes(c), 2
	}
	for k := range digits {
		r = r<<4 | hex(s.at(i+2+k))
	}
	return r, 2 + digits
}

func escapes(c rune) rune {
	switch c {
	case '0':
		return 0
	case 'a':
		return '\a'
	case 'b':
		return '\b'
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'v':
		return '\v'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	case 'e':
		return 0x1b
	case 'N':
		return 0x85
	case '_':
		return 0xa0
	case 'L':
		return 0x2028
	case 'P':
		return 0x2029
	}
	return c // a blank, a tab, quotes and the backslash mean themselves
}

func hex(r rune) rune {
	switch {
	case r >= '0' && r <= '9':
		return r - '0'
	case r >= 'a' && r <= 'f':
		return r - 'a' + 10
	case r >= 'A' && r <= 'F':
		return r - 'A' + 10
	}
	return 0
}
