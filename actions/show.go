package actions

import (
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// shown is a property's value as formulas see it.
func (f *field) shown(v any) any {
	values := f.values(v)
	out := make([]any, 0, len(values))
	for _, x := range values {
		out = append(out, f.shownOne(x))
	}
	switch {
	case f.multiple:
		return out
	case len(out) == 0:
		return nil
	}
	return out[0]
}

func (f *field) shownOne(v any) any {
	switch f.kind {
	case kindNumber:
		if n, ok := numberOf(v); ok {
			return n
		}
	case kindDay:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.day()
		}
	case kindMoment:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.wall()
		}
	case kindHTML:
		return htmlText(v)
	case kindChoice:
		if n, err := num.Parse(textOf(v)); err == nil {
			return n
		}
	case kindText:
		if n, err := num.Parse(textOf(v)); err == nil && f.reference {
			return n
		}
	}
	return v
}

// typed turns a portal's value into one of a kind.
func typed(v any, k formula.Kind, maybe bool) any {
	if v == nil && maybe {
		return nil
	}
	switch k {
	case formula.Int, formula.Number:
		if n, ok := numberOf(v); ok && (k == formula.Number || n.IsInt()) {
			return n
		}
		if maybe {
			return nil
		}
		return num.Num{}
	case formula.String:
		if _, isList := v.([]any); isList {
			return "" // PHP writes an empty record as a list
		}
		return textOf(v)
	case formula.Bool:
		return flagOf(v) == "Y"
	}
	return v
}
