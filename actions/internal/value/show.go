package value

import (
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// Shown is the value of a property as a formula's value.
func (f *Field) Shown(v any) any {
	values := f.Split(v)
	out := make([]any, 0, len(values))
	for _, x := range values {
		out = append(out, f.shownOne(x))
	}
	switch {
	case f.Multiple:
		return out
	case len(out) == 0:
		return nil
	}
	return out[0]
}

func (f *Field) shownOne(v any) any {
	switch f.Kind {
	case KindNumber:
		if n, ok := NumberOf(v); ok {
			return n
		}
	case KindDay:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Day()
		}
	case KindDateTime:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Wall()
		}
	case KindHTML:
		return htmlText(v)
	case KindChoice:
		if n, err := num.Parse(TextOf(v)); err == nil {
			return n
		}
	case KindText:
		if n, err := num.Parse(TextOf(v)); err == nil && f.Reference {
			return n
		}
	}
	return v
}

// Typed converts a portal's value to a kind. maybe allows nil.
func Typed(v any, k formula.Kind, maybe bool) any {
	if v == nil && maybe {
		return nil
	}
	switch k {
	case formula.Int, formula.Number:
		if n, ok := NumberOf(v); ok && (k == formula.Number || n.IsInt()) {
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
		return TextOf(v)
	case formula.Bool:
		return FlagOf(v) == "Y"
	}
	return v
}
