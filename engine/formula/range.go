package formula

import (
	"math"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// Range is the range of a number, both ends included. Min is math.MinInt64 if the number
// has no lower end, and Max is math.MaxInt64 if it has no upper one.
type Range struct{ Min, Max int64 }

// outcome returns the outcome of a comparison of a number of the range with n, if
// it is the same for all numbers of the range. whole says that they are whole.
func (r Range) outcome(op string, n num.Num, whole bool) (v, known bool) {
	low, high := num.FromInt(r.Min).Cmp(n), num.FromInt(r.Max).Cmp(n)
	if r.Min == math.MinInt64 {
		low = -1
	}
	if r.Max == math.MaxInt64 {
		high = 1
	}
	switch op {
	case "==":
		return false, low > 0 || high < 0 || whole && !n.IsInt()
	case "!=":
		return true, low > 0 || high < 0 || whole && !n.IsInt()
	case "<":
		return high < 0, high < 0 || low >= 0
	case "<=":
		return high <= 0, high <= 0 || low > 0
	case ">":
		return low > 0, low > 0 || high <= 0
	case ">=":
		return low >= 0, low >= 0 || high < 0
	}
	return false, false
}

// words names the range in messages.
func (r Range) words() diag.Phrase {
	switch {
	case r.Max == math.MaxInt64:
		return diag.Phrasef("at least %d", r.Min)
	case r.Min == math.MinInt64:
		return diag.Phrasef("at most %d", r.Max)
	}
	return diag.Phrasef("from %d to %d", r.Min, r.Max)
}

// within returns t as a number of the range.
func (r Range) within(t Type) Type {
	if r.Min == math.MinInt64 && r.Max == math.MaxInt64 {
		t.Domain = nil
		return t
	}
	t.Domain = &Domain{Range: &r}
	return t
}

// ranged returns the type of a whole number of a range.
func ranged(low, high int64) Type { return Range{low, high}.within(Type{Kind: Int}) }

// rangeOf is what is known of a number: a literal, or a value with a range.
func rangeOf(lowered ast.Node, t Type) Range {
	if v, ok := isConstant(lowered); ok {
		if n, isNum := v.(num.Num); isNum {
			low, lowOK := n.Floor().Int64()
			high, highOK := n.Ceil().Int64()
			if lowOK && highOK {
				return Range{low, high}
			}
		}
	}
	if t.isNumber() && t.Domain != nil && t.Domain.Range != nil {
		return *t.Domain.Range
	}
	return Range{math.MinInt64, math.MaxInt64}
}

// numberRange returns the range of the result of an operator. whole says that both sides
// are whole numbers.
func numberRange(op string, a, b Range, whole bool) Range {
	all := Range{math.MinInt64, math.MaxInt64}
	switch op {
	case "+":
		return Range{addEnd(a.Min, b.Min, math.MinInt64), addEnd(a.Max, b.Max, math.MaxInt64)}
	case "-":
		return numberRange("+", a, b.negated(), whole)
	case "*", "/":
		if a.Min >= 0 && b.Min >= 0 {
			return Range{0, math.MaxInt64}
		}
	case "%":
		if b.Min != b.Max || b.Min <= 0 || b.Max == math.MaxInt64 {
			return all
		}
		rest := b.Max
		if whole {
			rest--
		}
		if a.Min >= 0 {
			return Range{0, rest}
		}
		return Range{-rest, rest}
	case "**", "^":
		if b.Min == b.Max && b.Min > 0 && b.Min%2 == 0 {
			return Range{0, math.MaxInt64}
		}
	}
	return all
}

func (r Range) negated() Range { return Range{negatedEnd(r.Max), negatedEnd(r.Min)} }

func negatedEnd(end int64) int64 {
	switch end {
	case math.MinInt64:
		return math.MaxInt64
	case math.MaxInt64:
		return math.MinInt64
	}
	return -end
}

// addEnd adds two ends of ranges. none is the end of a range that has none there.
func addEnd(a, b, none int64) int64 {
	const large = math.MaxInt64 / 4
	if a == none || b == none || a > large || a < -large || b > large || b < -large {
		return none
	}
	return a + b
}

// yearType is a year. No author means one with two digits.
var yearType = Type{Kind: Int, Domain: &Domain{
	Range: &Range{1, 9999},
	ExcludesNumber: func(n num.Num) (why, hint diag.Phrase) {
		if n.Cmp(num.FromInt(100)) < 0 {
			why = diag.Phrasef("yearOf gives all four digits of a year")
		}
		return why, hint
	},
}}

// givesAbs gives a number that is not negative.
func givesAbs(args []Type) Type { return Range{0, math.MaxInt64}.within(givesNumber(args)) }

// givesWhole gives a whole number in the range of its argument: the ends are whole, too.
func givesWhole(args []Type) Type { return rangeOf(nil, args[0]).within(intType) }

// givesInRange gives the number itself, as far as it is known.
func givesInRange(args []Type) Type { return rangeOf(nil, args[0]).within(givesNumber(args)) }

// bestRange is the range of min and max of several values.
func bestRange(name string, lowered []ast.Node, types []Type) Range {
	out := rangeOf(lowered[0], types[0])
	for i := range types[1:] {
		r := rangeOf(lowered[i+1], types[i+1])
		if name == "max" {
			out = Range{max(out.Min, r.Min), max(out.Max, r.Max)}
		} else {
			out = Range{min(out.Min, r.Min), min(out.Max, r.Max)}
		}
	}
	return out
}
