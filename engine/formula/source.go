package formula

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// The limits of a formula's source. They are checked before it is parsed: expr
// overflows the stack, which cannot be recovered from, on a long enough "(((".
const (
	maxSource = 4 << 10 // bytes
	maxNodes  = 500
	maxLoops  = 3 // loops in loops
)

// source is the text of a formula, its tokens, and the text that expr is given
// to parse. The two texts differ where expr reads something that it should not.
type source struct {
	text  string
	runes []rune

	lexed   bool          // tokens has cut the text
	all     []lexer.Token // the tokens without the EOF
	problem *Problem      // why there are no more of them

	// parsed is the text for expr. origin holds, for each rune of it, the rune
	// of text that it comes from; nil means that both texts are equal.
	parsed string
	origin []int
}

// readSource checks the limits of a formula's text and repairs it for expr.
func readSource(text string) (*source, *Problem) {
	s := &source{text: text, parsed: text}
	if len(text) > maxSource {
		return nil, &Problem{
			To: 1, Code: codeLimit,
			Message: "the formula is longer than %d characters", Args: []any{maxSource}, Hint: "split it by compute",
		}
	}
	if !utf8.ValidString(text) {
		valid := 0
		for valid < len(text) {
			r, size := utf8.DecodeRuneInString(text[valid:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			valid += size
		}
		at := utf8.RuneCountInString(text[:valid])
		return nil, &Problem{From: at, To: at + 1, Code: codeSyntax, Message: "the formula is not UTF-8 text"}
	}
	s.runes = []rune(text)
	if s.needsRepair() {
		if problem := s.lex(); problem != nil {
			return nil, problem
		}
		s.repair()
	}
	return s, nil
}

// tokens returns the tokens of the text, as far as it has any. Few formulas need them, because
// expr cuts the text itself.
func (s *source) tokens() []lexer.Token {
	_ = s.lex()
	return s.all
}

// lex cuts the text into tokens. It returns what makes that impossible.
func (s *source) lex() *Problem {
	if s.lexed {
		return s.problem
	}
	s.lexed = true
	l := lexer.New()
	l.Reset(file.NewSource(s.text))
	for {
		t, err := l.Next()
		switch {
		case errors.Is(err, io.EOF):
			if len(s.all) == 0 {
				s.problem = &Problem{To: len(s.runes), Code: codeSyntax, Message: "the formula is empty"}
			}
			return s.problem
		case err != nil:
			s.problem = lexProblem(s, err)
			return s.problem
		case t.Kind != lexer.EOF:
			s.all = append(s.all, t)
		}
	}
}

// place returns the rune of the text for a rune of the parsed text.
func (s *source) place(i int) int {
	if s.origin != nil && i < len(s.origin) {
		return s.origin[max(i, 0)]
	}
	return max(0, min(i, len(s.runes)))
}

// span returns the place in the text of a location that expr gave.
func (s *source) span(l file.Location) (from, to int) {
	from = s.place(l.From)
	if l.To > l.From {
		return from, s.place(l.To-1) + 1
	}
	return from, from + 1
}

// tokenAt returns the index of the token at a rune, or of the next after it.
func (s *source) tokenAt(rune int) int {
	lo, hi := 0, len(s.tokens())
	for lo < hi {
		if mid := (lo + hi) / 2; s.tokens()[mid].To <= rune {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// closing returns the index of the bracket that closes the one at token i, or
// -1.
func (s *source) closing(i int) int {
	depth := 0
	for ; i < len(s.tokens()); i++ {
		switch t := s.tokens()[i]; {
		case t.Is(lexer.Bracket, "(", "[", "{"):
			depth++
		case t.Is(lexer.Bracket, ")", "]", "}"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// needsRepair reports whether repair may find something to replace: a record, a loop that expr
// does not know, or a number with an exponent or many digits.
func (s *source) needsRepair() bool {
	if strings.Contains(s.text, "{") || strings.Contains(s.text, "maxBy") || strings.Contains(s.text, "minBy") {
		return true
	}
	const fits = 18 // digits, in every int64
	digits := 0
	for _, b := range []byte(s.text) {
		switch {
		case b >= '0' && b <= '9':
			digits++
		case digits > 0 && (b == '.' || b == '_'): // the number continues
		case digits > 0 && (b == 'e' || b == 'E'):
			return true
		default:
			digits = 0
		}
		if digits > fits {
			return true
		}
	}
	return false
}

// repair writes the text that expr parses. Three things are read otherwise than
// expr would: a record that stands where a predicate may, as in
// map(rows, {a: 1}), is put in brackets, because expr takes { for the start of
// a block there; a literal that fits no int64 or float64 becomes zeros of
// the same length, since the value is read from the source anyway; and maxBy and
// minBy, which expr does not know, become count, which has the same arguments.
// ownLoops gives them their names back.
func (s *source) repair() {
	before := make(map[int]bool) // runes to put a bracket before
	after := make(map[int]bool)  // runes to put a bracket after
	zeros := make(map[int]int)   // from, to
	counts := make(map[int]rune)
	for i, t := range s.tokens() {
		switch {
		case s.isOwnLoop(i):
			for at, r := range knownLoop {
				counts[t.From+at] = r
			}
		case s.isRecordArgument(i):
			if end := s.closing(i); end > 0 {
				before[t.From] = true
				after[s.tokens()[end].From] = true
			}
		case t.Kind == lexer.Number && tooLongForExpr(t.Value):
			zeros[t.From] = t.To
		}
	}
	if len(before) == 0 && len(zeros) == 0 && len(counts) == 0 {
		return
	}
	var b strings.Builder
	zeroTo := 0
	put := func(r rune, from int) {
		b.WriteRune(r)
		s.origin = append(s.origin, from)
	}
	for i, r := range s.runes {
		if before[i] {
			put('(', i)
		}
		if to, ok := zeros[i]; ok {
			zeroTo = to
		}
		if i < zeroTo {
			r = '0'
		}
		if known, ok := counts[i]; ok {
			r = known
		}
		put(r, i)
		if after[i] {
			put(')', i)
		}
	}
	s.origin = append(s.origin, len(s.runes))
	s.parsed = b.String()
}

// knownLoop is the function of expr that takes the same arguments as maxBy and minBy, and
// has a name of the same length.
const knownLoop = "count"

// isOwnLoop reports whether token i is a call of a loop that expr does not know.
func (s *source) isOwnLoop(i int) bool {
	t := s.tokens()[i]
	return t.Kind == lexer.Identifier && (t.Value == "maxBy" || t.Value == "minBy") &&
		i+1 < len(s.tokens()) && s.tokens()[i+1].Is(lexer.Bracket, "(") && (i == 0 || !s.tokens()[i-1].Is(lexer.Operator, ".", "?."))
}

// ownLoops gives the loops that expr does not know their names.
func (s *source) ownLoops(root *ast.Node) {
	if s.origin != nil {
		ast.Walk(root, ownNames{s})
	}
}

type ownNames struct{ *source }

// Visit implements ast.Visitor.
func (s ownNames) Visit(n *ast.Node) {
	if x, ok := (*n).(*ast.BuiltinNode); ok && x.Name == knownLoop {
		from, to := s.span(x.Location())
		x.Name = string(s.runes[from:to])
	}
}

// isRecordArgument reports whether token i opens a record right after a "(" or
// ",". A block cannot look like one: it never starts with `name:`.
func (s *source) isRecordArgument(i int) bool {
	if i == 0 || i+1 >= len(s.tokens()) || !s.tokens()[i].Is(lexer.Bracket, "{") ||
		!s.tokens()[i-1].Is(lexer.Operator, ",") && !s.tokens()[i-1].Is(lexer.Bracket, "(") {
		return false
	}
	next := i + 1
	switch t := s.tokens()[next]; {
	case t.Is(lexer.Bracket, "}"):
		return true
	case t.Is(lexer.Bracket, "("):
		if next = s.closing(next); next < 0 {
			return false
		}
	case t.Kind != lexer.Identifier && t.Kind != lexer.String && t.Kind != lexer.Number:
		return false
	}
	return next+1 < len(s.tokens()) && s.tokens()[next+1].Is(lexer.Operator, ":")
}

// tooLongForExpr reports whether expr would refuse a decimal literal because of
// its size alone.
func tooLongForExpr(literal string) bool {
	literal = strings.ReplaceAll(literal, "_", "")
	if len(literal) > 1 && strings.ContainsRune("xXoObB", rune(literal[1])) {
		return false
	}
	var err error
	if strings.ContainsAny(literal, ".eE") {
		_, err = strconv.ParseFloat(literal, 64)
	} else {
		_, err = strconv.ParseInt(literal, 10, 64)
	}
	return errors.Is(err, strconv.ErrRange)
}
