package formula

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/internal/diag"
)

// foreignPlaceholder is a form in which other languages insert a value into text.
type foreignPlaceholder struct {
	pattern  *regexp.Regexp
	language string
	// named says that the placeholder is one only if its first name, the first group of
	// the pattern, is known where the text is.
	named bool
}

// foreignPlaceholders are sorted: the first that matches gives the warning.
var foreignPlaceholders = []foreignPlaceholder{
	{pattern: regexp.MustCompile(`\$\{\s*[\pL_][^{}]*\}`), language: "${…} of JavaScript"},
	{pattern: regexp.MustCompile(`<\?(?:php|=)|<%=`), language: "<?= … ?> of PHP"},
	{pattern: regexp.MustCompile(`\{%[-+]?\s*[\pL_][^%]*%\}`), language: "{% … %} of Twig"},
	{pattern: regexp.MustCompile(`\$[\pL_][\pL\pN_]*(?:->\w+|\[['"$][^\]]*\]|\.[\pL_][\pL\pN_]*)+`), language: "a variable of PHP"},
	{pattern: regexp.MustCompile(`\$([\pL_][\pL\pN_]*)`), language: "a variable of PHP", named: true},
	{pattern: regexp.MustCompile(`#\{\s*([\pL_][\pL\pN_]*)[^{}]*\}`), language: "#{…} of Ruby", named: true},
	{pattern: regexp.MustCompile(`%([\pL_][\pL\pN_]*)(?:\.[\pL\pN_]+)+%`), language: "%…% of a template", named: true},
	{pattern: regexp.MustCompile(`%(?:\d+\$)?[sd]\b`), language: "a placeholder of sprintf"},
	{pattern: regexp.MustCompile(`\[\[\s*([\pL_][\pL\pN_]*)(?:\.[\pL\pN_]+)*\s*\]\]`), language: "[[…]] of a template", named: true},
}

// ForeignText warns of text in which a placeholder of another language is meant to
// insert a value. Only {{ formula }} inserts one. known reports whether a name exists
// where the text is.
func ForeignText(text string, known func(name string) bool) []Problem {
	if !strings.ContainsAny(text, "$%<#[") {
		return nil
	}
	for _, p := range foreignPlaceholders {
		for _, m := range p.pattern.FindAllStringSubmatchIndex(text, -1) {
			if p.named && !known(text[m[2]:m[3]]) {
				continue
			}
			from := utf8.RuneCountInString(text[:m[0]])
			return []Problem{{
				From: from, To: from + utf8.RuneCountInString(text[m[0]:m[1]]), Code: codeForeign,
				Message: "%q is sent unchanged: %s inserts no value", Args: []any{text[m[0]:m[1]], diag.Phrase{Format: p.language}},
				Hint: "write {{ formula }} to insert a value",
			}}
		}
	}
	return nil
}

// Knows reports whether a formula may read a name, here or elsewhere in the rule.
func (e Env) Knows(name string) bool {
	_, here := e.Vars[name]
	_, later := e.Later[name]
	return here || later
}

// doubtForeign warns of a placeholder of another language in a text of a formula.
func (c *checker) doubtForeign(n *ast.StringNode) {
	for _, p := range ForeignText(n.Value, c.env.Knows) {
		p.From, p.To = c.extent(n) // escapes make places inside unreliable
		p.Hint = "write \"text \" + value"
		c.doubt(p)
	}
}
