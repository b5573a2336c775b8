package value

import (
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// ToREST turns a formula's value into what travels: numbers exactly, times in ISO
// 8601, nil as an empty text, which clears a field in every method. In a batch
// commands are query strings, and PHP drops a null from those.
func ToREST(v any) any { return encode(v, "") }

// ToJSON is wire for JSON that no batch carries: nil stays null.
func ToJSON(v any) any { return encode(v, nil) }

// encode is wire with something else for nil.
func encode(v, none any) any {
	switch x := v.(type) {
	case nil:
		return none
	case num.Num:
		return json.Number(x.String())
	case time.Time:
		return x.Format(time.RFC3339)
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

// ItemValue is what crm.item.add and update take for a wished value.
func (f *Field) ItemValue(v any) any {
	if f.Kind == KindFile {
		return ToREST(v)
	}
	if f.Multiple {
		out := []any{}
		for _, x := range f.Split(v) {
			out = append(out, f.ItemOne(x))
		}
		if len(out) == 0 {
			// The portal takes all that PHP calls empty for null; an empty
			// array would vanish from a batch's query string.
			return ""
		}
		return out
	}
	return f.ItemOne(v)
}

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
		if id := f.choice(v); id != TextOf(v) {
			return json.Number(id) // it was named by its text
		}
	case KindText:
		if b, ok := v.(bool); ok {
			return TextOf(b)
		}
	}
	return ToREST(v)
}

// ListValue is what lists.element.add and update take for a wished value: texts
// everywhere.
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
		// The documented form; the portal reads it in its own zone, which is
		// also how it writes dates down.
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.At(f.Zone).Wall()
		}
	case KindChoice:
		return f.choice(v)
	case KindHTML:
		return htmlText(v)
	}
	return f.truncate(TextOf(v))
}

// SentBack is what lists.element.update takes for a value that was read. The
// field may be nil: a portal sends properties that are newer than what is known
// of the list.
func (f *Field) SentBack(v any) any {
	if f == nil {
		return ToREST(v)
	}
	switch f.Kind {
	case KindHTML:
		// lists.element.update takes the text alone: it would make two values
		// of {TEXT, TYPE}.
		return htmlText(v)
	case KindDay:
		// The portal reads dates with strtotime, which takes 03/04/2024 for the
		// 4th of March wherever it is; ISO is read right.
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
