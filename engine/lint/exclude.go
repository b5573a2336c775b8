package lint

import (
	"regexp"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
)

// neverEntered warns of a step whose when and entered are never true together.
func (c *reviewer) neverEntered(s *engine.Step) {
	for _, a := range s.When.Conjuncts() {
		for _, b := range s.Entered.Conjuncts() {
			if exclude(a, b) {
				c.warnf(s.Entered.Node, "constant-condition", "entered is never true while when is true, so the step never runs").
					Hint = "entered already asks whether the condition was false before: remove when"
				return
			}
		}
	}
}

// compared is the canonical text of a comparison of a value with a literal.
var compared = regexp.MustCompile(`^\(*([^()"]+?|[^()"]+\[[^\]]*\]) (==|!=|<|<=|>|>=) ("[^"]*"|-?[0-9.]+|true|false|nil)\)*$`)

// exclude reports whether two conditions are never true for one value. They are canonical.
func exclude(a, b string) bool {
	x, y := compared.FindStringSubmatch(a), compared.FindStringSubmatch(b)
	if x == nil || y == nil {
		return opposite(a, b) || opposite(b, a)
	}
	if x[1] != y[1] {
		return false
	}
	m, errM := num.Parse(x[3])
	n, errN := num.Parse(y[3])
	if errM != nil || errN != nil {
		return x[3] == y[3] && (x[2] == "==" && y[2] == "!=" || x[2] == "!=" && y[2] == "==") || x[3] != y[3] && x[2] == "==" && y[2] == "=="
	}
	order := m.Cmp(n)
	return below(x[2]) && above(y[2]) && (order < 0 || order == 0 && (strict(x[2]) || strict(y[2]))) ||
		above(x[2]) && below(y[2]) && (order > 0 || order == 0 && (strict(x[2]) || strict(y[2]))) ||
		order == 0 && (x[2] == "==" && y[2] == "!=" || x[2] == "!=" && y[2] == "==")
}

// below and above report whether a comparison with an operator allows no value above, or
// below, its limit. strict says that it does not allow the limit.
func below(op string) bool  { return op == "<" || op == "<=" || op == "==" }
func above(op string) bool  { return op == ">" || op == ">=" || op == "==" }
func strict(op string) bool { return op == "<" || op == ">" }

// opposite reports whether a is !(b).
func opposite(a, b string) bool {
	rest, ok := strings.CutPrefix(a, "!")
	return ok && strings.Trim(rest, "()") == strings.Trim(b, "()") && !strings.ContainsAny(strings.Trim(b, "()"), "&|")
}
