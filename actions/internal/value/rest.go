package value

import (
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// ToREST converts a formula's value to a parameter: numbers are exact, times are
// ISO 8601. nil becomes an empty text, which clears a field in every method,
// because PHP drops null from the query strings of a batch.
func ToREST(v any) any { return encode(v, "") }

// ToJSON is ToREST for JSON outside batches: nil stays null.
func ToJSON(v any) any { return encode(v, nil) }

// encode converts a formula's value, with none for nil.
func encode(v, none any) any {
	switch x := v.(type) {
	case nil:
		return none
	case num.Num:
		return json.Number(x.String())
	case time.Time:
		return datetime.Text(x)
	case []any:
		out := make([]any, 0, len(x))
		for _, e := range x {
			if e != formula.Omitted {
				out = append(out, encode(e, none))
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			if e != formula.Omitted {
				out[k] = encode(e, none)
			}
		}
		return out
	}
	return v
}

// ItemValue is a desired value as a parameter of crm.item.add and update.
func (f *Field) ItemValue(v any) any {
	switch f.Kind {
	case KindFile:
		return ToREST(v)
	case KindMultifields:
		return NewMultifields(v)
	}
	if f.Multiple {
		out := []any{}
		for _, x := range f.Split(v) {
			out = append(out, f.ItemOne(x))
		}
		if len(out) == 0 {
			// The portal takes every empty value of PHP as null. An empty array
			// would vanish from the query string of a batch.
			return ""
		}
		return out
	}
	return f.ItemOne(v)
}

// ItemOne is ItemValue for a single value.
func (f *Field) ItemOne(v any) any {
	if v == nil {
		return ""
	}
	switch f.Kind {
	case KindNumber:
		if n, ok := NumberOf(v); ok {
			if f.Places != UnknownPlaces {
				n = n.Round(f.Places)
			}
			return json.Number(n.String())
		}
	case KindFlag:
		return FlagOf(v)
	case KindDay:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Day()
		}
	case KindDateTime:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.At(f.Zone).ISO()
		}
	case KindChoice:
		if id := f.Choices.id(v); id != TextOf(v) {
			return json.Number(id) // v is the text of the choice
		}
	case KindText:
		if b, ok := v.(bool); ok {
			return TextOf(b)
		}
	}
	return ToREST(v)
}

// ListValue is a desired value as a parameter of lists.element.add and update,
// which take texts.
func (f *Field) ListValue(v any) any {
	if f.Kind == KindFile {
		return ToREST(v)
	}
	if !f.Multiple {
		return f.ListOne(v)
	}
	out := []any{}
	for _, x := range f.Split(v) {
		out = append(out, f.ListOne(x))
	}
	return out
}

// ListOne is ListValue for a single value.
func (f *Field) ListOne(v any) any {
	if v == nil {
		return ""
	}
	switch f.Kind {
	case KindNumber:
		if n, ok := NumberOf(v); ok {
			return n.String()
		}
	case KindDay:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Day()
		}
	case KindDateTime:
		// The documented form. The portal reads and writes it in its own zone.
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.At(f.Zone).Wall()
		}
	case KindChoice:
		return f.Choices.id(v)
	case KindHTML:
		return htmlText(v)
	}
	return f.truncate(TextOf(v))
}

// SentBack is a value that was read, as a parameter of lists.element.update. The
// field may be nil, because a property may be newer than the schema.
func (f *Field) SentBack(v any) any {
	if f == nil {
		return ToREST(v)
	}
	switch f.Kind {
	case KindHTML:
		// lists.element.update takes only the text. It would make two values of
		// {TEXT, TYPE}.
		return htmlText(v)
	case KindDay:
		// The portal reads dates with strtotime, which takes 03/04/2024 as the
		// 4th of March in every locale. It reads ISO dates correctly.
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Day()
		}
	case KindDateTime:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Wall()
		}
	}
	return ToREST(v)
}
