package formula

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/internal/diag"
)

// Hints for people who know another language, and checks of fixed texts.

// elementMeant is the hint for an unknown name inside of a loop that was meant
// to be the element or one of its fields: sum(rows, price), sum(rows, row.price).
func (c *checker) elementMeant(name string) string {
	if len(c.loops) == 0 {
		return ""
	}
	if _, isField := c.loops[len(c.loops)-1].elem.Fields[name]; isField {
		return "a field of the element is written ." + name
	}
	switch name {
	case "row", "item", "it", "element", "el", "x":
		return "the element is #, and a field of it .name"
	}
	return ""
}

// infix is the hint for an operator that was taken for a function.
func infix(operator string) string { return "write text " + operator + " part" }

// methodMeant is the hint for value.name(…).
func methodMeant(name string) string {
	_, isFunction := functions[name]
	_, isLoop := loops[name]
	switch {
	case isFunction || isLoop:
		return fmt.Sprintf("write %s(value, …)", name)
	case isWord(name):
		return infix(name)
	case refused[strings.ToLower(name)] != "":
		return refused[strings.ToLower(name)]
	}
	if near := diag.Closest(name, functionNames()); near != "" {
		return fmt.Sprintf("write %s(value, …)", near)
	}
	return "write function(value, …)"
}

// partOf is the hint for a field that people expect of what has none.
func partOf(t Type, name string) string {
	switch name = strings.ToLower(name); {
	case t.Kind == Time && (name == "year" || name == "month" || name == "day" || name == "hour" || name == "minute" || name == "weekday"):
		return "write " + name + "Of(time)"
	case t.Kind == Time:
		return `write formatDate(time, "dd.MM.yyyy"), yearOf(time), dayOf(time)…`
	case t.Kind == String && (name == "length" || name == "size"):
		return "write len(text)"
	}
	return ""
}

// dateArgument reports a text that may be missing where date reads one. A text
// to take instead would be no date, so the hint is another than elsewhere.
func (c *checker) dateArgument(n ast.Node, t Type) bool {
	if t.Kind != String || !t.Maybe {
		return false
	}
	what := c.quoted(n)
	if what == "" {
		c.errorOf(n, codeMaybe, "take nil for that case: let text = …; text == nil ? nil : date(text)", "the value may be missing (nil)")
		return true
	}
	path := strings.Trim(what, `"`)
	c.errorOf(n, codeMaybe, fmt.Sprintf("write %s == nil ? nil : date(%s), or a when for the step", path, path), "%s may be missing (nil)", what)
	return true
}

// fixedDate reports a text that date can never read, also behind ??.
func (c *checker) fixedDate(nodes []ast.Node) {
	text := nodes[0]
	for {
		either, ok := text.(*ast.BinaryNode)
		if !ok || either.Operator != "??" {
			break
		}
		text = either.Right
	}
	fixed, ok := text.(*ast.StringNode)
	args := []any{"2006-01-02"}
	if ok {
		args[0] = fixed.Value
	}
	if _, err := date(nil, args); err != nil {
		hint := ""
		if text != nodes[0] {
			hint = "write x == nil ? nil : date(x), or a when for the step"
		}
		c.errorOf(text, codeArgs, hint, "%s", err)
	}
	if len(nodes) < 2 {
		return
	}
	if zone, ok := nodes[1].(*ast.StringNode); ok {
		if _, err := date(nil, []any{"2006-01-02", zone.Value}); err != nil {
			c.errorOf(zone, codeArgs, "", "%s", err)
		}
	}
}

// patternHint is what a pattern of formatDate is made of.
const patternHint = `write it with dd, MM, yyyy, yy, HH, mm, ss: "dd.MM.yyyy HH:mm"`

// datePattern reports a fixed pattern of formatDate that is one of PHP, Go or
// strftime: its letters would be taken for text.
func (c *checker) datePattern(n ast.Node) {
	pattern, ok := n.(*ast.StringNode)
	if !ok {
		return
	}
	text, filled := cutPattern(pattern.Value)
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r >= unicode.MaxASCII || !unicode.IsLetter(r) }) {
		if strings.Trim(word, "dDjmMnyYhHGis") == "" {
			c.errorOf(n, codeArgs, patternHint, "%q is no part of a pattern of formatDate", word)
			return
		}
	}
	if !filled {
		c.errorOf(n, codeArgs, patternHint, "the pattern of formatDate has no part that is filled in")
	}
}

// cutPattern returns what formatDate takes for text, with a blank for each part
// that it fills in, and whether there are any.
func cutPattern(pattern string) (text string, filled bool) {
	var b strings.Builder
	for pattern != "" {
		size := 0
		for _, p := range datePatterns {
			if strings.HasPrefix(pattern, p.name) {
				size = len(p.name)
				break
			}
		}
		if size > 0 {
			filled = true
			b.WriteByte(' ')
		} else {
			size = 1
			b.WriteByte(pattern[0])
		}
		pattern = pattern[size:]
	}
	return b.String(), filled
}

// alternative reports stage == "A" || "B", which means to compare twice.
func (c *checker) alternative(x *ast.BinaryNode) bool {
	if x.Operator != "||" && x.Operator != "or" {
		return false
	}
	left, isCompared := x.Left.(*ast.BinaryNode)
	if _, literal := x.Right.(*ast.StringNode); !literal || !isCompared || left.Operator != "==" {
		return false
	}
	c.errorOf(x.Right, codeType, `write … in ["A", "B"]`, "the right side of %s must be true or false, not text", x.Operator)
	return true
}
