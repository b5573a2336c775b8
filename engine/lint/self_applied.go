package lint

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// selfApplied is the formula of a field that may read the same field.
type selfApplied struct {
	source string // "" for another value
	// formula is nil if it reads no field by its name: then it repeats none.
	formula   *formula.Formula
	constants map[string]any // see flow.constants
}

// selfApplied keeps of a value what repeats and mentions need.
func (f *flow) selfApplied(v *engine.Value) selfApplied {
	if v.Formula == nil {
		return selfApplied{}
	}
	out := selfApplied{source: v.Formula.Source()}
	constants := f.constants()
	for _, p := range v.Formula.Paths() {
		if name, _, nested := strings.Cut(p, "."); nested && constants[name] == nil {
			out.formula, out.constants = v.Formula, constants
		}
	}
	return out
}

// mentions looks for a field in the source of the formula.
func (s selfApplied) mentions(field string) bool { return strings.Contains(s.source, "."+field) }

// repeats reports whether a formula of one field returns its own result when that
// result is its input. round(deal.opportunity, 2) does.
func (s selfApplied) repeats(field string) bool {
	if s.formula == nil {
		return false
	}
	base, vars := "", maps.Clone(s.constants)
	var others []string // what else it reads
	for _, p := range s.formula.Paths() {
		name, rest, _ := strings.Cut(p, ".")
		if _, constant := vars[name]; constant {
			continue
		}
		switch {
		case rest != field:
			others = append(others, p)
		case base != "" && base != name:
			return false
		default:
			base = name
		}
	}
	if base == "" {
		return false
	}
	m := formula.NewMachine(context.Background())
	var other any
	apply := func(x any) (any, bool) {
		for _, p := range others {
			formula.SetPath(vars, p, other)
		}
		formula.SetPath(vars, base+"."+field, x)
		out, err := s.formula.Eval(m, vars)
		return out, err == nil
	}
	if len(others) == 0 {
		return stays(apply)
	}
	worked := false
	for _, other = range []any{num.FromInt(5), "x", "2026-05-02", true, []any{num.FromInt(5)}} {
		if holds, ran := staysFor(apply); ran && !holds {
			return false
		} else if ran {
			worked = true
		}
	}
	return worked
}

// stays reports whether a function returns its own result when that result is its input.
func stays(apply func(any) (any, bool)) bool {
	holds, ran := staysFor(apply)
	return holds && ran
}

// staysFor is stays. ran is false if the function takes none of the values that are tried.
func staysFor(apply func(any) (any, bool)) (holds, ran bool) {
	for _, x := range []any{num.MustParse("0"), num.MustParse("-7.125"), num.MustParse("1234567.891"), "", " Straße X ", "new:WON", "1500.555|RUB", true, nil, []any{}, []any{num.FromInt(7), num.FromInt(7), num.FromInt(12)}} {
		once, ok := apply(x)
		if !ok {
			continue
		}
		ran = true
		if once == formula.Omitted {
			continue // nothing is written
		}
		if twice, ok := apply(once); !ok || !sameValue(once, twice) {
			return false, true
		}
	}
	return true, ran
}

func sameValue(a, b any) bool {
	x, xNum := a.(num.Num)
	y, yNum := b.(num.Num)
	if xNum && yNum {
		return x.Equal(y)
	}
	switch a.(type) {
	case nil, bool, string:
		return a == b
	}
	l, isList := a.([]any)
	r, both := b.([]any)
	return isList && both && slices.EqualFunc(l, r, sameValue)
}
