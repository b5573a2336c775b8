package yamlfile

import (
	"fmt"
	"slices"
	"strings"
)

// plainly rewords the message of yaml.v3 and finds the place where the author has to look.
func (s *syntax) plainly() trap {
	t := trap{at: s.fault, code: "yaml-syntax"}
	r := s.at(s.fault)
	switch m := s.message; {
	case m == "never closed":
		t.message = fmt.Sprintf("the %q is never closed", r)
		t.hint = fmt.Sprintf("put a %q where it ends", s.closer(s.fault))
	case m == noMapping:
		return s.secondColon(t)
	case strings.HasPrefix(m, "did not find expected ',' or "):
		t.at = s.tokenStart(s.fault)
		t.message = "expected a comma or " + m[len("did not find expected ',' or "):] + " here"
		t.hint = "quote text that holds , [ ] { } or ?"
		if open := lex(s.text, t.at).open; len(open) > 0 {
			last := open[len(open)-1].at
			if line, _ := s.place(last); t.at > last && s.lineOf(t.at) != line {
				t.hint = fmt.Sprintf("the %c on line %d is still open", s.at(last), line)
			}
		}
	case m == "found unexpected end of stream":
		t.message = "the quote that opens here is never closed"
	case m == "found character that cannot start any token" && r == '\t':
		t.message = "a tab cannot indent YAML"
		t.hint = "use spaces"
	case m == "found character that cannot start any token":
		t.message = fmt.Sprintf("a value cannot start with %q", r)
		t.hint = "quote it"
	case m == "did not find expected key":
		t.at = s.tokenStart(s.fault)
		t.message, t.hint = s.afterValue(t.at)
	case m == "did not find expected '-' indicator":
		t.at = s.tokenStart(s.fault)
		t.message = `expected another "- " of the list here, or less indentation`
		t.hint = "check the indentation"
	case m == "block sequence entries are not allowed in this context":
		t.message = `a "- " is not allowed here`
		t.hint = "put the list on the next line, or quote the value if it is text"
	case m == "mapping keys are not allowed in this context":
		t.message = `a value cannot start with "? "`
		t.hint = "quote it"
	case m == "did not find expected node content":
		t.message = fmt.Sprintf("expected a value before %q", r)
		t.hint = "quote it if it is text"
	default:
		return s.rarely(t)
	}
	return t
}

// noMapping is yaml.v3's message for a colon that does not end a key.
const noMapping = "mapping values are not allowed in this context"

// secondColon words noMapping. Often the mistake is on the line above: a key without its
// colon, or a colon without its space, starts a text that continues.
func (s *syntax) secondColon(t trap) trap {
	from, _ := s.line(s.fault)
	for _, tok := range slices.Backward(lex(s.text, from).tokens) {
		if tok.flow || tok.value || tok.key {
			break
		}
		t.at = tok.to
		t.message = `expected a ":" after this key`
		if i := strings.Index(s.slice(tok.from, tok.to), ":"); i >= 0 {
			t.at = tok.from + len([]rune(s.slice(tok.from, tok.to)[:i]))
			t.message = `expected a space after the ":" of a key`
		}
		return t
	}
	t.message = `a ":" is not allowed here, inside a value`
	t.hint = "quote the value if the colon is part of it, otherwise check the indentation"
	return t
}

func (t text) lineOf(offset int) int {
	line, _ := t.place(offset)
	return line
}

// rarely words the rare messages.
func (s *syntax) rarely(t trap) trap {
	r := s.at(s.fault)
	switch m := s.message; {
	case m == "did not find expected comment or line break":
		t.message = "the text of a block starts on the next line"
		t.hint = "quote the value if | or > is part of it"
	case m == "did not find expected alphabetic or numeric character":
		t.message = fmt.Sprintf("%q starts the name of an anchor or alias, and no name follows", r)
		t.hint = "quote the value if it is text"
	case strings.HasPrefix(m, "unknown anchor "):
		name := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(m, "unknown anchor "), " referenced"), "'")
		t.at = s.before(s.fault, "*"+name)
		t.message = fmt.Sprintf("the alias *%s has no anchor &%s before it", name, name)
		t.hint = "quote the value if it is text"
	case m == "found unknown escape character":
		t.message = fmt.Sprintf(`\%c is not an escape inside "…"`, s.at(s.fault+1))
		t.hint = `write \\, or use '…', where a backslash is text`
	case m == "did not find expected hexdecimal number" || m == "found invalid Unicode character escape code":
		t.message = "this escape is not a character"
	case m == "could not find expected ':'":
		t.at = s.tokenStart(s.fault)
		t.message = `a key needs a ":" on its own line`
	case strings.HasPrefix(m, "found a tab character"):
		t.message = "a tab cannot indent YAML"
		t.hint = "use spaces"
	case m == "found unexpected document indicator":
		t.message = "the document ends inside a quoted text"
	case strings.HasPrefix(m, "exceeded max depth"):
		t.code = "yaml-limit"
		t.message = fmt.Sprintf("nested deeper than %d levels", MaxDepth)
	case m == "":
		t.message = "this is not YAML"
	default:
		t.message = "YAML: " + m
	}
	return t
}

// afterValue words "did not find expected key": text follows a complete value, or the
// indentation of a line is wrong.
func (s *syntax) afterValue(at int) (message, hint string) {
	i := at
	for i > 0 && isBlank(s.at(i-1)) {
		i--
	}
	switch q := s.at(i - 1); q {
	case '\'':
		return "text follows the closing quote", "a quote inside '…' is written twice: ''"
	case '"':
		return "text follows the closing quote", `a quote inside "…" is written \"`
	case '}', ']':
		return fmt.Sprintf("text follows the closing %c", q), "quote the whole value"
	}
	return "expected a key at the indentation of the keys above", "check the indentation"
}

// tokenStart steps back from the place of an error to the start of its word.
func (t text) tokenStart(at int) int {
	at = min(at, len(t.runes)-1)
	if at < 0 {
		return 0
	}
	if t.at(at) == ':' && at > 0 && !isBlank(t.at(at-1)) && t.breakAt(at-1) == 0 {
		at--
	}
	for at > 0 && isWord(t.at(at)) && isWord(t.at(at-1)) {
		at--
	}
	return at
}

func isWord(r rune) bool {
	return isAnchorRune(r) || r > 0x7f
}

// before returns the last offset of a word that starts at or before at.
func (t text) before(at int, word string) int {
	from := t.slice(0, at+1)
	if i := strings.LastIndex(from, word); i >= 0 {
		return len([]rune(from[:i]))
	}
	return at
}
