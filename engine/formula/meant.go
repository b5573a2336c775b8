package formula

import (
	"fmt"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/datetime"
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
	switch {
	case isFunction || loops[name]:
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
	case t.Kind == String && moneyPartTypes[name].Kind != Any:
		return "only a money field has an amount and a currency: 1500.5|RUB"
	case t.isNumber() && moneyPartTypes[name].Kind != Any:
		return "this is the amount; the currency is in another field, such as currencyId"
	case t.Kind == String:
		return "write + to join texts"
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
	if _, err := dateAs(datetime.Unknown)(nil, args); err != nil {
		hint := ""
		if ok && strings.Trim(fixed.Value, "dDjmMnyYhHGisa.:/- ") == "" && fixed.Value != "" {
			hint = `write formatDate(time, "dd.MM.yyyy")`
		}
		if text != nodes[0] {
			hint = "write x == nil ? nil : date(x), or a when for the step"
		}
		c.errorOf(text, codeArgs, hint, "%s", err)
	}
	if len(nodes) > 1 {
		c.fixedZone(nodes[1])
	}
}

// fixedZone reports a literal that names no time zone.
func (c *checker) fixedZone(n ast.Node) {
	c.fixedText(n, func(name string) error {
		_, err := datetime.Zone(name)
		return err
	})
}

// fixedClock reports a literal that is no time of day.
func (c *checker) fixedClock(n ast.Node) {
	c.fixedText(n, func(clock string) error {
		_, err := datetime.AtTime(time.Time{}, clock, nil)
		return err
	})
}

// fixedLanguage reports an argument, which may be missing, that is a literal and names
// no language.
func (c *checker) fixedLanguage(nodes []ast.Node, i int) {
	if i < len(nodes) {
		c.fixedText(nodes[i], func(name string) error {
			_, err := (*Machine)(nil).language([]any{name}, 0)
			return err
		})
	}
}

// fixedText reports a literal with which a function fails in every run.
func (c *checker) fixedText(n ast.Node, valid func(text string) error) {
	if fixed, ok := n.(*ast.StringNode); ok {
		if err := valid(fixed.Value); err != nil {
			c.errorOf(n, codeArgs, "", "%s", err)
		}
	}
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
