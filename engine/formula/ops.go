package formula

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/b24rules/b24rules/engine/num"
)

// The functions in this file are what the operators become. They end the
// evaluation by fail, see lower.go.

// errWant is the error of a value of another kind than is needed.
func errWant(want string, v any) error {
	if v == nil {
		return errMissing
	}
	return fmt.Errorf("want %s, got %s", want, describe(v))
}

func number(v any) (num.Num, error) {
	n, ok := v.(num.Num)
	if !ok {
		return n, errWant("a number", v)
	}
	return n, nil
}

// whole returns a number that has to be whole, as an int.
func whole(v any) (int, error) {
	n, err := number(v)
	if err != nil {
		return 0, err
	}
	i, ok := n.Int64()
	if !ok || int64(int(i)) != i {
		return 0, fmt.Errorf("want a whole number, got %s", n)
	}
	return int(i), nil
}

func text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", errWant("text", v)
	}
	return s, nil
}

func list(v any) ([]any, error) {
	l, ok := v.([]any)
	if !ok {
		return nil, errWant("a list", v)
	}
	return l, nil
}

// lift turns an int of expr's machine into a number; findIndex may give nil.
func lift(v any) any {
	if i, ok := v.(int); ok {
		return num.FromInt(int64(i))
	}
	return v
}

func asBool(v any) any {
	if _, ok := v.(bool); !ok {
		fail(errWant("true or false", v))
	}
	return v
}

func asNumber(v any) any { return must(number(v)) }

func asText(v any) any { return must(text(v)) }

func negate(v any) any {
	n, err := number(v)
	if err != nil {
		fail(err)
	}
	return n.Neg()
}

func isNil(v any) any { return v == nil }

// equalShort compares where one side is short, so that no steps are counted.
func equalShort(a, b any) any {
	ka, kb := kindOf(a), kindOf(b)
	switch {
	case ka == Nil || kb == Nil:
		return ka == kb
	case ka != kb:
		fail(errKinds(a, b))
	}
	return equalScalars(a, b)
}

func equalFn(args ...any) any {
	same, err := equal(args[0].(*Machine), args[1], args[2], 0)
	return must(same, err)
}

// ordered makes the comparisons <, <=, > and >= of compare.
func ordered(holds func(order int) bool) variadic {
	return func(args ...any) any {
		order, err := compareWithin(args[0].(*Machine), args[1], args[2])
		return must(holds(order), err)
	}
}

// shortOrdered is ordered for what is compared in next to no time.
func shortOrdered(holds func(order int) bool) binary {
	return func(a, b any) any {
		if x, ok := a.(num.Num); ok {
			if y, ok := b.(num.Num); ok {
				return holds(x.Cmp(y))
			}
		}
		order, err := compare(a, b)
		return must(holds(order), err)
	}
}

func less(order int) bool    { return order < 0 }
func atMost(order int) bool  { return order <= 0 }
func greater(order int) bool { return order > 0 }
func atLeast(order int) bool { return order >= 0 }

var (
	orders      = map[string]variadic{"<": ordered(less), "<=": ordered(atMost), ">": ordered(greater), ">=": ordered(atLeast)}
	shortOrders = map[string]binary{"<": shortOrdered(less), "<=": shortOrdered(atMost), ">": shortOrdered(greater), ">=": shortOrdered(atLeast)}
)

// arithmetic are the operators of two numbers.
var arithmetic = map[string]binary{
	"+":  numbers(num.Num.Add),
	"-":  numbers(num.Num.Sub),
	"*":  numbers(num.Num.Mul),
	"/":  numbers(num.Num.Div),
	"%":  numbers(num.Num.Mod),
	"**": numbers(num.Num.Pow),
	"^":  numbers(num.Num.Pow),
}

func numbers(op func(a, b num.Num) (num.Num, error)) binary {
	return func(a, b any) any {
		x, err := number(a)
		if err != nil {
			fail(err)
		}
		y, err := number(b)
		if err != nil {
			fail(err)
		}
		result, err := op(x, y)
		if err != nil {
			fail(err)
		}
		return result
	}
}

// joinTexts is + of two texts.
func joinTexts(args ...any) any {
	a, err := text(args[1])
	if err != nil {
		fail(err)
	}
	b, err := text(args[2])
	if err != nil {
		fail(err)
	}
	if err := args[0].(*Machine).grow(len(a) + len(b)); err != nil {
		fail(err)
	}
	return a + b
}

// addAny is + of two values that are known only now.
func addAny(args ...any) any {
	_, isText := args[1].(string)
	_, isTextToo := args[2].(string)
	switch {
	case isText && isTextToo:
		return joinTexts(args...)
	case isText || isTextToo:
		if args[1] == nil || args[2] == nil {
			fail(errMissing)
		}
		fail(fmt.Errorf("%s and %s cannot be joined: write string(…) or number(…)", describe(args[1]), describe(args[2])))
	}
	return arithmetic["+"](args[1], args[2])
}

// inFn is "element in list" and "name in record".
func inFn(args ...any) any {
	m, needle := args[0].(*Machine), args[1]
	switch x := args[2].(type) {
	case []any:
		found, err := contains(m, x, needle)
		return must(found, err)
	case map[string]any:
		_, ok := x[must(text(needle)).(string)]
		return ok
	}
	fail(errWant("a list or a record", args[2]))
	return nil
}

// contains looks a value up. If the list holds only what cannot be compared with
// it, that is more likely a mistake than an answer.
func contains(m *Machine, elements []any, needle any) (bool, error) {
	if err := m.spend(len(elements)); err != nil {
		return false, err
	}
	var odd any
	alike := false
	for _, e := range elements {
		if kindOf(e) != kindOf(needle) {
			if e != nil && needle != nil {
				odd = e
			}
			continue
		}
		alike = true
		if same, err := equal(m, e, needle, 0); err != nil || same {
			return same, err
		}
	}
	if odd != nil && !alike {
		return false, errKinds(needle, odd)
	}
	return false, nil
}

// textTests are the operators that look into a text.
var textTests = map[string]variadic{
	"contains":   textTest(strings.Contains),
	"startsWith": textTest(strings.HasPrefix),
	"endsWith":   textTest(strings.HasSuffix),
}

func textTest(test func(text, part string) bool) variadic {
	return func(args ...any) any {
		s, err := text(args[1])
		if err != nil {
			fail(err)
		}
		part, err := text(args[2])
		if err != nil {
			fail(err)
		}
		if err := args[0].(*Machine).read(len(s)); err != nil {
			fail(err)
		}
		return test(s, part)
	}
}

const (
	// matchSteps makes a regular expression cost more steps than a plain search.
	matchSteps = 16
	// maxMatched bounds the text of one match, which nothing can interrupt.
	maxMatched = 1 << 20
)

func matchFn(re *regexp.Regexp) variadic {
	return func(args ...any) any {
		s, err := text(args[1])
		if err != nil {
			fail(err)
		}
		if len(s) > maxMatched {
			fail(fmt.Errorf("matches takes a text of at most %d MiB", maxMatched>>20))
		}
		if err := args[0].(*Machine).read(matchSteps * len(s)); err != nil {
			fail(err)
		}
		return re.MatchString(s)
	}
}

func patternError(err error) string {
	var e *syntax.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: %q", e.Code, e.Expr)
	}
	return err.Error()
}

// rangeFn is from..to.
func rangeFn(args ...any) any {
	from, err := whole(args[1])
	if err != nil {
		fail(err)
	}
	to, err := whole(args[2])
	if err != nil {
		fail(err)
	}
	if from > to {
		return []any{}
	}
	if n := to - from; n < 0 || n >= maxElements {
		fail(fmt.Errorf("the range has more than %d elements", maxElements))
	}
	if err := args[0].(*Machine).list(to - from + 1); err != nil {
		fail(err)
	}
	numbers := make([]any, 0, to-from+1)
	for i := from; i <= to; i++ {
		numbers = append(numbers, num.FromInt(int64(i)))
	}
	return numbers
}
