package yamlfile

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// byteReader returns one byte at a time, to know how far yaml.v3 read.
type byteReader struct {
	s string
	n int
}

func (r *byteReader) Read(p []byte) (int, error) {
	if r.n >= len(r.s) {
		return 0, io.EOF
	}
	p[0] = r.s[r.n]
	r.n++
	return 1, nil
}

// parseMessage parses the text and returns the error's message without its line,
// which is often missing or wrong, and how many bytes had been read by then.
func parseMessage(s string) (message string, read int) {
	r := &byteReader{s: s}
	d := yaml.NewDecoder(r)
	for {
		var n yaml.Node
		err := decode(d, &n)
		if err == nil {
			continue // the mistake is in a later document
		}
		if isEOF(err) {
			return "", r.n
		}
		message = strings.TrimPrefix(err.Error(), "yaml: ")
		if rest, ok := strings.CutPrefix(message, "line "); ok {
			if _, after, found := strings.Cut(rest, ": "); found {
				message = after
			}
		}
		return message, r.n
	}
}

// locate returns yaml.v3's message for the text and the offset of the character that it is
// about: the last character of the shortest prefix that fails with the same message. It
// steps back in growing strides and halves the last one, so that it parses a large file
// about twenty times.
func (t text) locate(src string) (message string, at int) {
	message, read := parseMessage(src)
	budget := maxSearch // in runes; after that the place is less exact
	fails := func(n int) bool {
		if budget -= n; budget < 0 {
			return false
		}
		m, _ := parseMessage(string(t.runes[:n]))
		return m == message
	}
	most := len([]rune(src[:read]))
	if !fails(most) {
		return message, max(most-1, 0)
	}
	good, stride := 0, 1
	for most > 0 {
		n := max(most-stride, 0)
		if !fails(n) {
			good = n
			break
		}
		most = n
		stride *= 2
	}
	for most-good > 1 {
		if n := (most + good) / 2; fails(n) {
			most = n
		} else {
			good = n
		}
	}
	return message, max(most-1, 0)
}

// maxSearch limits the search for a mistake in a large file to about a second.
const maxSearch = 16 * MaxBytes

// syntaxError reports a text that yaml.v3 cannot parse. If the cause is a known trap for
// formulas, it explains the trap. Otherwise it rewords the message of yaml.v3.
func (f *File) syntaxError(src string, list *diag.List) {
	message, at := f.text.locate(src)
	s := syntax{text: f.text, message: message, fault: at}
	if strings.Contains(message, "did not find expected ',' or ") {
		s.flow(len([]rune(src)))
	}
	t, ok := s.trap()
	if !ok {
		t = s.plainly()
	}
	f.report(list, t)
}

type syntax struct {
	text
	message string // of yaml.v3
	fault   int    // the offset it is about
}

// flow finds the place of an error in flow style. Each unfinished prefix of {…} fails
// with the same message, so flow closes the prefixes before it tries them.
func (s *syntax) flow(end int) {
	whole := lex(s.text, end)
	if len(whole.open) > 0 {
		if last := whole.open[len(whole.open)-1].at; last <= s.fault {
			s.message, s.fault = "never closed", last
			return
		}
	}
	here := lex(s.text, s.fault+1)
	if len(here.open) == 0 {
		return
	}
	first := here.open[0].at
	if s.fault-first > 16*maxFlow {
		return
	}
	for n := s.fault + 1; n <= min(end, s.fault+maxFlow); n++ {
		l := lexer{text: s.text, i: first, end: n, quoteAt: -1}
		for l.i < l.end {
			l.step()
		}
		if l.quoteAt >= 0 {
			continue
		}
		if len(l.open) == 0 {
			return
		}
		closed := []rune(s.slice(first, n))
		for i := len(l.open) - 1; i >= 0; i-- {
			closed = append(closed, s.closer(l.open[i].at))
		}
		if m, _ := parseMessage(string(closed)); strings.Contains(m, "did not find expected ',' or ") {
			s.message, s.fault = m, n-1
			return
		}
	}
}

// maxFlow limits the search: the mistake is rarely far from its entry.
const maxFlow = 1000

func (t text) closer(i int) rune {
	if t.at(i) == '{' {
		return '}'
	}
	return ']'
}

// trap looks for a formula or a {{ }} around the place of the error.
func (s *syntax) trap() (trap, bool) {
	from, eol := s.line(s.fault)
	l := lex(s.text, eol)
	if len(l.open) > 0 && l.open[0].at < from {
		from = l.open[0].at
	}
	if t, ok := s.quoteTrap(from); ok {
		return t, true
	}
	if t, ok := s.bracesTrap(from, eol); ok {
		return t, true
	}
	for i := len(l.tokens) - 1; i >= 0; i-- {
		tok := l.tokens[i]
		if tok.to < from {
			break
		}
		if tok.from > s.fault || !isFormula(s.slice(tok.from, tok.to)) {
			continue
		}
		if t, ok := s.formulaTrap(tok); ok {
			return t, true
		}
	}
	if t, ok := s.lowerColonTrap(l.tokens, from); ok {
		return t, true
	}
	return s.tagTrap(from, eol)
}

// lowerColonTrap recognises a colon on a later line of a formula.
func (s *syntax) lowerColonTrap(tokens []token, from int) (trap, bool) {
	if s.message != noMapping {
		return trap{}, false
	}
	for _, tok := range slices.Backward(tokens) {
		if tok.to >= from {
			continue
		}
		first := s.slice(tok.from, tok.to)
		if !isFormula(first) || tok.flow || !unbalanced(first) {
			return trap{}, false
		}
		_, eol := s.line(s.fault)
		return colonTrap(s.fault, first+" "+s.trimmed(from, eol)), true
	}
	return trap{}, false
}

// formulaTrap explains why the formula of a token does not reach its end.
func (s *syntax) formulaTrap(tok token) (trap, bool) {
	next := tok.to
	for isBlank(s.at(next)) {
		next++
	}
	_, eol := s.line(tok.from)
	end := s.formulaEnd(tok.from, tok.flow)
	whole := s.trimmed(tok.from, end)
	switch r := s.at(next); {
	case next >= eol || tok.key:
		return trap{}, false
	case r == '#':
		return commentTrap(next, s.trimmed(tok.from, eol)), true
	case r == ':':
		return colonTrap(next, whole), true
	case tok.flow && end > next:
		return flowTrap(next, r, whole), true
	}
	return trap{}, false
}

// quoteTrap recognises a missing quote. The text then continues to the next quote on a
// later line, and yaml.v3 fails after that.
func (s *syntax) quoteTrap(from int) (trap, bool) {
	l := lex(s.text, s.fault+1)
	q := l.lastQuoted
	if l.quoteAt >= 0 || q.from < 0 || q.from >= from || q.to <= from {
		return trap{}, false
	}
	return trap{
		at: q.from, code: "yaml-syntax",
		message: fmt.Sprintf("the quote that opens here ends only on line %d, where another quote was meant to open", s.lineOf(q.to-1)),
		hint:    "close it on its own line",
	}, true
}

// bracesTrap recognises {{ x }} outside of quotes.
func (s *syntax) bracesTrap(from, eol int) (trap, bool) {
	open := strings.Index(s.slice(from, eol), "{{")
	if open < 0 {
		return trap{}, false
	}
	at := from + len([]rune(s.slice(from, eol)[:open]))
	before := lex(s.text, at)
	if before.quoteAt >= 0 || at > s.fault+2 {
		return trap{}, false
	}
	start := at // of the text that should be quoted
	if n := len(before.tokens); n > 0 && !before.tokens[n-1].key && s.trimmed(before.tokens[n-1].to, at) == "" {
		start = before.tokens[n-1].from
	}
	if isFormula(s.slice(start, eol)) {
		return trap{}, false // a record in a formula: formulaTrap explains it
	}
	return bracesTrap(at, s.trimmed(start, s.holeEnd(at, len(before.open) > 0))), true
}

// holeEnd returns the offset after the text that holds a {{ }} at the offset:
// the end of the line, or in flow style the comma or bracket that follows.
func (t text) holeEnd(at int, flow bool) int {
	_, eol := t.line(at)
	inside := false
	for i := at; i < eol; i++ {
		pair := t.slice(i, min(i+2, eol))
		switch r := t.at(i); {
		case !inside && pair == "{{":
			inside = true
			i++
		case inside && pair == "}}":
			inside = false
			i++
		case !inside && flow && (r == ',' || r == '}' || r == ']'):
			return i
		case !inside && r == '#' && isBlank(t.at(i-1)), !inside && pair == ": ":
			return i
		}
	}
	return eol
}

// tagTrap recognises `when: !a || b` and `when: !a && b`.
func (s *syntax) tagTrap(from, eol int) (trap, bool) {
	l := lex(s.text, s.fault)
	if l.quoteAt >= 0 || !l.hasKey() {
		return trap{}, false
	}
	line := s.slice(from, eol)
	i := strings.Index(line, ": !")
	if i < 0 || strings.HasPrefix(line[i:], ": !!") {
		return trap{}, false
	}
	at := from + len([]rune(line[:i])) + 2
	if at > s.fault {
		return trap{}, false
	}
	end := s.formulaEnd(at, len(lex(s.text, at).open) > 0)
	return tagTrap(at, s.trimmed(at, end)), true
}
