package formula

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// Template is a text with holes. It may be evaluated by many goroutines at once.
type Template struct {
	parts  []part
	vars   []string
	doubts []Problem // of the literal text
}

// part is a piece of a template: literal text, or a formula.
type part struct {
	literal string
	formula *Formula
	from    int // rune of the template where the literal or the formula's source starts
}

const (
	holeOpen  = "{{"
	holeClose = "}}"
	maxHoles  = 100
)

// HasHole reports whether text holds a {{, so that it has to be a template.
func HasHole(text string) bool { return strings.Contains(text, holeOpen) }

// CompileTemplate checks a text with holes {{ formula }} or {{= formula }}. It
// returns a Template, or all the problems; their places are those of the whole
// text.
func CompileTemplate(text string, env Env) (*Template, []Problem) {
	t := &Template{}
	var problems []Problem
	for i := 0; i < len(text); {
		open := strings.Index(text[i:], holeOpen)
		if open < 0 {
			t.parts = append(t.parts, part{literal: text[i:], from: utf8.RuneCountInString(text[:i])})
			break
		}
		if open > 0 {
			t.parts = append(t.parts, part{literal: text[i : i+open], from: utf8.RuneCountInString(text[:i])})
		}
		at := i + open
		begin := at + len(holeOpen)
		size := holeEnd(text[begin:])
		from := utf8.RuneCountInString(text[:at])
		if size < 0 {
			problems = append(problems, Problem{
				From: from, To: from + len(holeOpen), Code: codeSyntax,
				Message: "this {{ has no closing }}", Hint: `to write {{ itself, write {{ "{{" }}`,
			})
			break
		}
		if len(t.parts) > 2*maxHoles {
			problems = append(problems, Problem{
				From: from, To: from + len(holeOpen), Code: codeLimit,
				Message: "the text has more than %d holes", Args: []any{maxHoles}, Hint: "split it by compute",
			})
			break
		}
		hole, found := compileHole(text[begin:begin+size], from+len(holeOpen), env)
		t.parts = append(t.parts, hole)
		problems = append(problems, found...)
		i = begin + size + len(holeClose)
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.From, b.From) })
		return nil, problems
	}
	t.vars = t.collectVars()
	t.doubts = t.foreignText(env)
	return t, nil
}

// compileHole compiles the source between {{ and }}; from is the rune where it
// starts.
func compileHole(src string, from int, env Env) (part, []Problem) {
	trimmed := strings.TrimLeft(src, " \t\n")
	if rest, ok := strings.CutPrefix(trimmed, "="); ok && !strings.HasPrefix(rest, "=") {
		trimmed = rest
	}
	from += utf8.RuneCountInString(src[:len(src)-len(trimmed)])
	f, problems := Compile(strings.TrimRight(trimmed, " \t\n"), env)
	if len(problems) == 0 {
		problems = textProblem(f)
	}
	for i := range problems {
		problems[i].From += from
		problems[i].To += from
	}
	return part{formula: f, from: from}, problems
}

// textProblem reports a formula whose value has no text.
func textProblem(f *Formula) []Problem {
	p := Problem{To: len(f.source.runes), Code: codeType}
	switch t := f.Type(); {
	case t.mayBeNil():
		p.Code, p.Message, p.Hint = codeMaybe, "the value may be missing (nil)", `write ?? "" for what to take instead`
	case t.Kind == List:
		p.Message, p.Hint = "a list cannot be written as text", `write join(list, ", ")`
	case t.Kind == Record || t.Kind == Omit:
		p.Message = t.String() + " cannot be written as text"
	default:
		return nil
	}
	return []Problem{p}
}

// holeEnd returns where the }} is that ends a hole: the first one before which
// expr's lexer finds whole tokens and no open bracket, so that {{ {a: {b: 1}} }}
// and {{ "}}" }} are read as intended. Where there is none, the first }}
// ends it, for the sake of the error; -1 is no }} at all.
func holeEnd(text string) int {
	first := strings.Index(text, holeClose)
	if first < 0 {
		return -1
	}
	if isPlainPath(text[:first]) {
		return first
	}
	const tries = 32
	end := first
	for range tries {
		if end > maxSource {
			break
		}
		if isComplete(text[:end]) {
			return end
		}
		next := strings.Index(text[end+1:], holeClose)
		if next < 0 {
			break
		}
		end += 1 + next
	}
	return first
}

// isPlainPath reports whether source has only letters, dots and spaces, as most holes.
func isPlainPath(src string) bool {
	return strings.Trim(src, " .ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") == ""
}

// isComplete reports whether source has whole tokens and no open brackets.
func isComplete(src string) bool {
	tokens, err := lexer.Lex(file.NewSource(src))
	if err != nil {
		return false
	}
	depth := 0
	for _, t := range tokens {
		switch {
		case t.Is(lexer.Bracket, "(", "[", "{"):
			depth++
		case t.Is(lexer.Bracket, ")", "]", "}"):
			depth--
		}
	}
	return depth <= 0
}

func (t *Template) collectVars() []string {
	seen := make(map[string]bool)
	var vars []string
	for _, p := range t.parts {
		if p.formula == nil {
			continue
		}
		for _, name := range p.formula.vars {
			if !seen[name] {
				seen[name] = true
				vars = append(vars, name)
			}
		}
	}
	slices.Sort(vars)
	return vars
}

// Paths returns what the holes read, as Formula.Paths does.
func (t *Template) Paths() []string {
	var paths []string
	for _, p := range t.parts {
		if p.formula != nil {
			paths = append(paths, p.formula.paths...)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Part is a piece of a template: literal text or a hole.
type Part struct {
	// Text is the literal text; for a hole it is "".
	Text string
	// Hole says that the part is a hole, and FromData that its value may come from
	// data. Source is the formula of a hole.
	Hole, FromData bool
	Source         string
	// From and To are the place of the formula in a hole, in characters of the whole
	// text.
	From, To int
}

// Parts returns the pieces of the template in order.
func (t *Template) Parts() []Part {
	out := make([]Part, len(t.parts))
	for i, p := range t.parts {
		out[i] = p.exported()
	}
	return out
}

func (p part) exported() Part {
	if p.formula == nil {
		return Part{Text: p.literal}
	}
	return Part{Hole: true, FromData: p.formula.FromData(), Source: p.formula.Source(), From: p.from, To: p.from + len(p.formula.source.runes)}
}

// FromData reports whether the value of a hole may come from data.
func (t *Template) FromData() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.formula != nil && p.formula.FromData() })
}

// foreignText returns the doubts of the literal text.
func (t *Template) foreignText(env Env) []Problem {
	var doubts []Problem
	for _, p := range t.parts {
		if p.formula != nil {
			continue
		}
		for _, d := range ForeignText(p.literal, env.Knows) {
			d.From, d.To = d.From+p.from, d.To+p.from
			doubts = append(doubts, d)
		}
	}
	return doubts
}

// Doubts returns the doubts of the literal text and of all holes, placed in the whole
// text.
func (t *Template) Doubts() []Problem {
	doubts := slices.Clone(t.doubts)
	for _, p := range t.parts {
		if p.formula == nil {
			continue
		}
		for _, d := range p.formula.doubts {
			d.From, d.To = d.From+p.from, d.To+p.from
			doubts = append(doubts, d)
		}
	}
	return doubts
}

// Sources returns the sources of the formulas in the holes, in order.
func (t *Template) Sources() []string {
	var out []string
	for _, p := range t.parts {
		if p.formula != nil {
			out = append(out, p.formula.Source())
		}
	}
	return out
}

// Hole returns the source of the formula if the whole text is one hole.
func (t *Template) Hole() (source string, ok bool) {
	if len(t.parts) != 1 || t.parts[0].formula == nil {
		return "", false
	}
	return t.parts[0].formula.Source(), true
}

// Vars returns the names of the environment that the holes read, sorted.
func (t *Template) Vars() []string { return slices.Clone(t.vars) }

// Eval returns the text with its holes filled. An error is an *Error.
func (t *Template) Eval(m *Machine, vars map[string]any) (string, error) {
	return t.EvalEscaped(m, vars, nil)
}

// EvalEscaped is Eval for a text in which values must be escaped. escape gets the text
// before a hole, the hole and its value; nil escapes nothing.
func (t *Template) EvalEscaped(m *Machine, vars map[string]any, escape func(before string, hole Part, text string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.formula == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := p.formula.Eval(m, vars)
		if err != nil {
			return "", moved(err, p.from)
		}
		s, err := ToText(v)
		if err == nil && escape != nil {
			s, err = escape(b.String(), p.exported(), s)
		}
		if err == nil && b.Len()+len(s) > maxText {
			err = m.grow(maxText + 1)
		}
		if err != nil {
			return "", moved(p.formula.whole(err), p.from)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// moved returns an error of Eval with its place in the whole text.
func moved(err error, by int) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.From += by
	at.To += by
	return &at
}
