package lint

import (
	"regexp"

	"github.com/b24rules/b24rules/engine/num"
)

// ranges are the values that conditions allow, by the text of what is compared.
type ranges map[string]allowed

// allowed is an interval of numbers, or one literal.
type allowed struct {
	equal       string // the literal; "" means that the interval holds
	low, high   *num.Num
	above, less bool // the ends are not included
}

// comparison is the canonical text of a comparison with a literal.
var comparison = regexp.MustCompile(`^\((.+) (==|<|<=|>|>=) (-?[0-9.]+|"[^"]*")\)$`)

// rangesOf reads the conditions of the step and its rule. It is nil when one of them is no
// comparison with a literal.
func rangesOf(e *effect) ranges {
	out := ranges{}
	for _, c := range e.step.conditions {
		m := comparison.FindStringSubmatch(c)
		if m == nil {
			return nil
		}
		out[m[1]] = out[m[1]].and(m[2], m[3])
	}
	return out
}

func (a allowed) and(op, literal string) allowed {
	n, err := num.Parse(literal)
	switch {
	case op == "==":
		a.equal = literal
	case err != nil:
	case op == ">" || op == ">=":
		if a.low == nil || a.low.Cmp(n) < 0 {
			a.low, a.above = &n, op == ">"
		}
	default:
		if a.high == nil || a.high.Cmp(n) > 0 {
			a.high, a.less = &n, op == "<"
		}
	}
	return a
}

// overlap reports whether conditions about the same values can hold together.
func (r ranges) overlap(o ranges) bool {
	if len(r) != len(o) {
		return false
	}
	for what, a := range r {
		b, both := o[what]
		if !both || !a.overlaps(b) {
			return false
		}
	}
	return true
}

func (a allowed) overlaps(b allowed) bool {
	switch {
	case a.equal != "" && b.equal != "":
		return a.equal == b.equal
	case a.equal != "":
		return b.holds(a.equal)
	case b.equal != "":
		return a.holds(b.equal)
	}
	return before(a.low, a.above, b.high, b.less) && before(b.low, b.above, a.high, a.less)
}

// holds reports whether a literal lies in the interval.
func (a allowed) holds(literal string) bool {
	n, err := num.Parse(literal)
	return err == nil && before(a.low, a.above, &n, false) && before(&n, false, a.high, a.less)
}

// before reports whether a low end lies below a high end; nil is no end.
func before(low *num.Num, above bool, high *num.Num, less bool) bool {
	if low == nil || high == nil {
		return true
	}
	c := low.Cmp(*high)
	return c < 0 || c == 0 && !above && !less
}
