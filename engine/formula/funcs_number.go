package formula

import (
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/num"
)

func abs(_ *Machine, args []any) (any, error) {
	n, err := number(args[0])
	return n.Abs(), err
}

func floor(_ *Machine, args []any) (any, error) {
	n, err := number(args[0])
	return n.Floor(), err
}

func ceil(_ *Machine, args []any) (any, error) {
	n, err := number(args[0])
	return n.Ceil(), err
}

// round rounds half away from zero, as PHP and Bitrix24 do.
func round(_ *Machine, args []any) (any, error) {
	n, err := number(args[0])
	if err != nil {
		return nil, err
	}
	places := 0
	if len(args) > 1 {
		if places, err = whole(args[1]); err != nil {
			return nil, err
		}
	}
	return n.Round(places).Add(num.Num{}) // Add: negative places may make a number too long
}

// toInt drops what is after the point.
func toInt(m *Machine, args []any) (any, error) {
	n, err := toNumber(m, args)
	if err != nil {
		return nil, err
	}
	return n.(num.Num).Trunc(), nil
}

// toNumber takes a number, or a text that is one but for the space around it.
func toNumber(m *Machine, args []any) (any, error) {
	s, ok := args[0].(string)
	if !ok {
		return boxed(number(args[0]))
	}
	if err := m.read(len(s)); err != nil {
		return nil, err
	}
	return boxed(num.Parse(strings.TrimSpace(s)))
}

// boxed makes an any of a typed result without losing its error.
func boxed[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// sumFn adds up the list that a loop has made, which counted its elements.
func sumFn(v any) any {
	elements, err := list(v)
	if err != nil {
		fail(err)
	}
	total := num.Num{}
	for i, e := range elements {
		n, ok := e.(num.Num)
		if !ok {
			fail(fmt.Errorf("element %d of the list: %w", i, errWant("a number", e)))
		}
		if total, err = total.Add(n); err != nil {
			fail(err)
		}
	}
	return total
}

func mean(m *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil || len(elements) == 0 {
		return nil, err
	}
	if err := m.spend(len(elements)); err != nil {
		return nil, err
	}
	total := sumFn(elements).(num.Num)
	return boxed(total.Div(num.FromInt(int64(len(elements)))))
}

func median(m *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil || len(elements) == 0 {
		return nil, err
	}
	if err := m.spend(len(elements)); err != nil {
		return nil, err
	}
	sumFn(elements) // fails for what is no number
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, func(a, b any) int { return a.(num.Num).Cmp(b.(num.Num)) })
	upper := sorted[len(sorted)/2].(num.Num)
	if len(sorted)%2 == 1 {
		return upper, nil
	}
	both, err := sorted[len(sorted)/2-1].(num.Num).Add(upper)
	if err != nil {
		return nil, err
	}
	return boxed(both.Div(num.FromInt(2)))
}

func minOf(m *Machine, args []any) (any, error) { return bestOf(m, args, less) }

func maxOf(m *Machine, args []any) (any, error) { return bestOf(m, args, greater) }

// bestOf returns the first value that is before all others; nil for an empty
// list.
func bestOf(m *Machine, args []any, better func(order int) bool) (any, error) {
	if len(args) == 1 {
		elements, err := list(args[0])
		if err != nil || len(elements) == 0 {
			return nil, err
		}
		args = elements
	}
	if err := m.spend(len(args)); err != nil {
		return nil, err
	}
	best := args[0]
	for _, v := range args { // the first with itself too: it may have no order
		order, err := compareWithin(m, v, best)
		if err != nil {
			return nil, err
		}
		if better(order) {
			best = v
		}
	}
	return best, nil
}
