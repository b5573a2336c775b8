package formula

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/b24rules/b24rules/internal/diag"
)

// The codes of problems.
const (
	codeSyntax   = "syntax"
	codeName     = "unknown-name"
	codeField    = "unknown-field"
	codeFunction = "unknown-function"
	codeType     = "wrong-type"
	codeArgs     = "wrong-arguments"
	codeMaybe    = "maybe-missing"
	codeLimit    = "limit"
	codeTaken    = "name-taken"
)

// foreignSigns are characters that people copy from a text processor or know
// from mathematics, and what a formula has instead.
var foreignSigns = map[rune]string{
	'“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`, '‘': "'", '’': "'",
	'×': "*", '·': "*", '÷': "/", '–': "-", '—': "-", '−': "-",
	'≠': "!=", '≤': "<=", '≥': ">=", '…': "..", '\u00a0': "a plain space",
}

// lexProblem turns an error of expr's lexer into a problem.
func lexProblem(s *source, err error) *Problem {
	p := &Problem{To: 1, Code: codeSyntax, Message: err.Error()}
	var e *file.Error
	if !errors.As(err, &e) {
		return p
	}
	p.From, p.To = s.span(e.Location)
	p.From = min(p.From, max(0, len(s.runes)-1))
	p.To = min(max(p.To, p.From+1), len(s.runes))
	p.Message = e.Message
	switch {
	case strings.Contains(e.Message, "literal not terminated"):
		p.From = s.afterTokens()
		p.To = p.From + 1
		p.Message = "the text has no closing quote"
	case strings.Contains(e.Message, "char escape"):
		p.Message = "this escape does not exist in a text"
		p.Hint = "write the text between backquotes, in which \\ has no meaning: `\\d+`"
	case strings.Contains(e.Message, "unclosed comment"):
		p.Message = "the comment has no closing */"
	case strings.HasPrefix(e.Message, "bad number syntax"):
		p.Message = "this is neither a number nor a name"
		p.Hint = "a name cannot start with a digit"
	case strings.HasPrefix(e.Message, "unrecognized character") && p.From < len(s.runes):
		r := s.runes[p.From]
		p.Message, p.Args = "unexpected character %q", []any{r}
		if want := foreignSigns[r]; want != "" {
			p.Hint = "write " + want
		} else if r == '@' || r == '\\' || r == '~' {
			p.Hint = "this operator does not exist"
		}
	}
	return p
}

// afterTokens returns the start of the token that the lexer could not finish.
func (s *source) afterTokens() int {
	at := 0
	if len(s.tokens()) > 0 {
		at = s.tokens()[len(s.tokens())-1].To
	}
	for at < len(s.runes)-1 && unicode.IsSpace(s.runes[at]) {
		at++
	}
	return at
}

// syntaxProblem turns an error of expr's parser into a problem. The parser knows which
// token it did not expect, but not what was meant.
func syntaxProblem(s *source, err error) Problem {
	p := Problem{To: 1, Code: codeSyntax, Message: err.Error()}
	var e *file.Error
	if !errors.As(err, &e) {
		return p
	}
	p.From, p.To = s.span(e.Location)
	p.Message = e.Message
	if strings.Contains(e.Message, "maximum allowed nodes") {
		p.Code, p.Message, p.Args = codeLimit, "the formula has more than %d parts", []any{maxNodes}
		p.Hint = "split it by compute"
		return p
	}
	if len(s.tokens()) > 1 && s.tokens()[0].Is(lexer.Operator, "=", "==") {
		t := s.tokens()[0]
		return Problem{
			From: t.From, To: t.To, Code: codeSyntax,
			Message: "a formula starts with a single =", Hint: "remove this one",
		}
	}
	if f, ok := unknownCall(s, p.From); ok {
		return f
	}
	if f, ok := unopenedPipe(s); ok {
		return f
	}
	at := s.tokenAt(p.From)
	if at >= len(s.tokens()) || p.From >= len(s.runes) || strings.Contains(e.Message, "EOF") {
		return unfinished(s)
	}
	switch {
	case strings.HasPrefix(e.Message, "unexpected token"):
		p.Message, p.Args = "unexpected %q", []any{s.tokens()[at].Value}
	case strings.HasPrefix(e.Message, "a map key must be"):
		p.Message = "a record is written {name: value, …}"
	case strings.HasPrefix(e.Message, "Operator ("):
		p.Message, p.Args = "?? and %s cannot be mixed", []any{s.tokens()[at].Value}
		p.Hint = "put one of them in brackets: (a ?? 0) + b"
		return p
	case strings.HasPrefix(e.Message, "wrap predicate"):
		p.Hint = "arguments are separated by commas"
		return p
	}
	s.explain(&p, at)
	return p
}

// unopenedPipe looks for value | upper, which other languages take.
func unopenedPipe(s *source) (Problem, bool) {
	for i := 1; i < len(s.tokens()); i++ {
		t := s.tokens()[i]
		called := i+1 < len(s.tokens()) && s.tokens()[i+1].Is(lexer.Bracket, "(")
		if t.Kind == lexer.Identifier && !called && s.tokens()[i-1].Is(lexer.Operator, "|") {
			return Problem{
				From: t.From, To: t.To, Code: codeSyntax, Message: "after | write the call of a function, this is %q", Args: []any{t.Value},
				Hint: fmt.Sprintf("write value | %s(), or %s(value)", t.Value, t.Value),
			}, true
		}
	}
	return Problem{}, false
}

// unfinished is the problem of a formula that ends too early.
func unfinished(s *source) Problem {
	p := Problem{From: len(s.runes), To: len(s.runes), Code: codeSyntax, Message: "the formula ends too early"}
	var open []lexer.Token
	for _, t := range s.tokens() {
		if t.Is(lexer.Bracket, "(", "[", "{") {
			open = append(open, t)
		} else if t.Kind == lexer.Bracket && len(open) > 0 {
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t := open[len(open)-1]
		p.From, p.To = t.From, t.To
		p.Message, p.Args = "this %q is not closed", []any{t.Value}
		return p
	}
	last := s.tokens()[len(s.tokens())-1]
	p.From, p.To = last.From, last.To
	p.Message, p.Args = "something is missing after %q", []any{last.Value}
	return p
}

// explain adds what was probably meant by the token that expr stumbled over.
func (s *source) explain(p *Problem, at int) {
	t := s.tokens()[at]
	before := func(kind lexer.Kind, values ...string) bool { return at > 0 && s.tokens()[at-1].Is(kind, values...) }
	next := func(kind lexer.Kind, values ...string) bool {
		return at+1 < len(s.tokens()) && s.tokens()[at+1].Is(kind, values...)
	}
	switch word := strings.ToLower(t.Value); {
	case t.Is(lexer.Operator, "=") && next(lexer.Operator, ">"), t.Is(lexer.Operator, ">") && before(lexer.Operator, "-"):
		p.Message, p.Args, p.Hint = "unexpected arrow", nil, "write the body alone, with .name for a field of the element: map(list, .price * 2)"
	case t.Is(lexer.Operator, "contains", "startsWith", "endsWith", "matches") && next(lexer.Bracket, "("):
		p.Hint = infix(t.Value)
	case t.Is(lexer.Operator, "="):
		p.Hint = "write == to compare"
	case t.Is(lexer.Operator, "+", "-") && before(lexer.Operator, t.Value):
		p.Hint = "a formula changes no value: write x + 1"
	case t.Is(lexer.Operator, "&"):
		p.Hint = "write + to join texts, && for “and”"
	case t.Is(lexer.Operator, ">") && before(lexer.Operator, "<"):
		p.From, p.Message, p.Args, p.Hint = s.tokens()[at-1].From, `unexpected "<>"`, nil, "write !="
	case t.Is(lexer.Operator, ";"):
		p.Hint = "arguments are separated by commas"
	case t.Is(lexer.Operator, ",") && before(lexer.Number) && next(lexer.Number) && s.tokens()[at+1].From == t.To:
		p.From, p.To = s.tokens()[at-1].From, s.tokens()[at+1].To
		p.Message, p.Args = "unexpected %q", []any{string(s.runes[p.From:p.To])}
		p.Hint = fmt.Sprintf("write %s.%s", s.tokens()[at-1].Value, s.tokens()[at+1].Value)
	case t.Is(lexer.Operator, ".") || t.Is(lexer.Operator, "#"):
		p.Hint = "`.name` and `#` are the element inside map(list, …), sum(list, …), filter(list, …) and similar functions"
	case t.Is(lexer.Bracket, "{") && (before(lexer.Bracket, "{") || next(lexer.Bracket, "{")), s.hasHole():
		p.Hint = "inside a formula write the name alone, without {{ }}"
	case before(lexer.Operator, "if") && t.Is(lexer.Bracket, "("), strings.Contains(s.text, "if("), strings.Contains(s.text, "if ("):
		p.Hint = "write condition ? a : b"
	case t.Kind == lexer.Identifier && (word == "and" || word == "or" || word == "not" || word == "in"):
		p.Hint = fmt.Sprintf("write %s in small letters", word)
	case t.Kind == lexer.Identifier && (word == "div" || word == "mod"):
		p.Hint = "write / for division, % for the remainder"
	case t.Kind == lexer.Identifier && (word == "eq" || word == "is"):
		p.Hint = "write == to compare"
	case t.Kind == lexer.Identifier && word == "between":
		p.Hint = "write x >= from && x <= to"
	case t.Kind == lexer.Identifier && word == "like":
		p.Hint = "write text contains part, startsWith, endsWith or matches"
	case t.Kind == lexer.Identifier && word == "then":
		p.Hint = "write condition ? a : b"
	case t.Is(lexer.Bracket, ")", "]", "}"):
		p.Hint = "nothing is open here, or something is missing before it"
	case t.Kind == lexer.Identifier || t.Kind == lexer.Number || t.Kind == lexer.String:
		p.Hint = "an operator or a comma is missing before it"
	}
}

func (s *source) hasHole() bool {
	return strings.HasPrefix(strings.TrimSpace(s.text), "{{")
}

// unknownCall looks for a call, open at the place of a syntax error, of a
// function that takes no predicate: expr reports the `.` in
// summ(rows, .price) and not summ.
func unknownCall(s *source, place int) (Problem, bool) {
	at := s.tokenAt(place)
	if at >= len(s.tokens()) || !s.tokens()[at].Is(lexer.Operator, ".", "#", ";") {
		return Problem{}, false
	}
	depth := 0
	for i := at - 1; i > 0; i-- {
		t := s.tokens()[i]
		switch {
		case t.Is(lexer.Bracket, ")", "]", "}"):
			depth++
		case t.Is(lexer.Bracket, "(", "[", "{") && depth > 0:
			depth--
		case t.Is(lexer.Bracket, "(") && s.tokens()[i-1].Kind == lexer.Identifier:
			name := s.tokens()[i-1]
			_, isFunction := functions[name.Value]
			if isFunction && s.tokens()[at].Value == ";" {
				return Problem{}, false
			}
			if isFunction {
				return Problem{
					From: s.tokens()[at].From, To: s.tokens()[at].To, Code: codeSyntax,
					Message: "%s takes no `.name` or `#`", Args: []any{name.Value},
					Hint: fmt.Sprintf("write %s(map(list, .name))", name.Value),
				}, true
			}
			if loops[name.Value] {
				return Problem{}, false
			}
			return unknownFunction(name.Value, name.From, name.To), true
		}
	}
	return Problem{}, false
}

func unknownFunction(name string, from, to int) Problem {
	p := Problem{From: from, To: to, Code: codeFunction, Message: "unknown function %q", Args: []any{name}}
	plainName := strings.TrimPrefix(strings.ToLower(name), "mb_") // of PHP
	if hint := refused[name]; hint != "" {
		p.Message, p.Hint = "no function %q exists", hint
	} else if hint := refused[plainName]; hint != "" {
		p.Hint = hint
	} else if near := diag.Closest(name, functionNames()); near != "" {
		p.Hint = didYouMean(name, near)
	}
	return p
}

func didYouMean(name, near string) string {
	return fmt.Sprintf("did you mean %q?", near) + diag.Lookalike(name, near)
}
