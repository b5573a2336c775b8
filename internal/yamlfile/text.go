package yamlfile

import (
	"sort"
	"strings"
)

// text is the source as characters, without its byte order mark, with two ways
// to count lines: yaml.v3 also ends a line at NEL, LS and PS, editors do not.
type text struct {
	runes  []rune
	yaml   []int // where each line starts, as yaml.v3 counts
	editor []int // where each line starts, as an editor counts
}

func newText(s string) text {
	lines := strings.Count(s, "\n") + 1
	t := text{runes: []rune(s), yaml: make([]int, 1, lines), editor: make([]int, 1, lines)}
	for i, r := range t.runes {
		switch r {
		case '\u0085', '\u2028', '\u2029':
			t.yaml = append(t.yaml, i+1)
			continue
		case '\r':
			if t.at(i+1) == '\n' {
				continue // one break of two characters
			}
		case '\n':
		default:
			continue
		}
		t.yaml, t.editor = append(t.yaml, i+1), append(t.editor, i+1)
	}
	return t
}

// at returns the rune at the offset, or 0 outside the text.
func (t text) at(i int) rune {
	if i < 0 || i >= len(t.runes) {
		return 0
	}
	return t.runes[i]
}

// breakAt returns the length of the line break at the offset, 0 if there is none.
func (t text) breakAt(i int) int {
	switch t.at(i) {
	case '\r':
		if t.at(i+1) == '\n' {
			return 2
		}
		return 1
	case '\n', '\u0085', '\u2028', '\u2029':
		return 1
	}
	return 0
}

// breakRune returns what the line break at the offset is in a scalar's value.
func (t text) breakRune(i int) rune {
	if r := t.at(i); r == '\u2028' || r == '\u2029' {
		return r
	}
	return '\n'
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// offset returns the offset of a place as yaml.v3 counts it.
func (t text) offset(line, column int) int {
	if line < 1 || len(t.yaml) == 0 {
		return 0
	}
	if line > len(t.yaml) {
		return len(t.runes)
	}
	return min(t.yaml[line-1]+max(column-1, 0), len(t.runes))
}

// place returns the line and column of an offset as an editor counts them.
func (t text) place(offset int) (line, column int) {
	offset = min(max(offset, 0), len(t.runes))
	line = sort.SearchInts(t.editor, offset+1)
	return line, offset - t.editor[line-1] + 1
}

// line returns the offsets of the start of the editor's line that holds the
// offset, and of its end without the line break.
func (t text) line(offset int) (from, to int) {
	n, _ := t.place(offset)
	return t.lineN(n)
}

func (t text) lineN(n int) (from, to int) {
	if n < 1 || n > len(t.editor) {
		return len(t.runes), len(t.runes)
	}
	from = t.editor[n-1]
	to = len(t.runes)
	if n < len(t.editor) {
		to = t.editor[n]
	}
	for to > from && (t.runes[to-1] == '\n' || t.runes[to-1] == '\r') {
		to--
	}
	return from, to
}

func (t text) slice(from, to int) string {
	from = max(from, 0)
	return string(t.runes[from:max(from, min(to, len(t.runes)))])
}
