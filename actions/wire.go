package actions

import (
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// wire turns a formula's value into what travels: numbers exactly, times in ISO
// 8601, nil as an empty text, which clears a field in every method. In a batch
// commands are query strings, and PHP drops a null from those.
func wire(v any) any { return travelling(v, "") }

// travelling is wire with something else for nil.
func travelling(v, none any) any {
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
				out = append(out, travelling(e, none))
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			if e != formula.Omitted {
				out[k] = travelling(e, none)
			}
		}
		return out
	}
	return v
}

// itemValue is what crm.item.add and update take for a wished value.
func (f *field) itemValue(v any) any {
	if f.kind == kindFile {
		return wire(v)
	}
	if f.multiple {
		out := []any{}
		for _, x := range f.values(v) {
			out = append(out, f.itemOne(x))
		}
		if len(out) == 0 {
			// The portal takes all that PHP calls empty for null; an empty
			// array would vanish from a batch's query string.
			return ""
		}
		return out
	}
	return f.itemOne(v)
}

func (f *field) itemOne(v any) any {
	if v == nil {
		return ""
	}
	switch f.kind {
	case kindNumber:
		if n, ok := numberOf(v); ok {
			if f.places != unknownPlaces {
				n = n.Round(f.places)
			}
			return json.Number(n.String())
		}
	case kindFlag:
		return flagOf(v)
	case kindDay:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.day()
		}
	case kindMoment:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.at(f.zone).iso()
		}
	case kindChoice:
		if id := f.choice(v); id != textOf(v) {
			return json.Number(id) // it was named by its text
		}
	case kindText:
		if b, ok := v.(bool); ok {
			return textOf(b)
		}
	}
	return wire(v)
}

// listValue is what lists.element.add and update take for a wished value: texts
// everywhere.
func (f *field) listValue(v any) any {
	if f.kind == kindFile {
		return wire(v)
	}
	if !f.multiple {
		return f.listOne(v)
	}
	out := []any{}
	for _, x := range f.values(v) {
		out = append(out, f.listOne(x))
	}
	return out
}

func (f *field) listOne(v any) any {
	if v == nil {
		return ""
	}
	switch f.kind {
	case kindNumber:
		if n, ok := numberOf(v); ok {
			return n.String()
		}
	case kindDay:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.day()
		}
	case kindMoment:
		// The documented form; the portal reads it in its own zone, which is
		// also how it writes dates down.
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.at(f.zone).wall()
		}
	case kindChoice:
		return f.choice(v)
	case kindHTML:
		return htmlText(v)
	}
	return f.kept(textOf(v))
}

func carriedOne(f *field, v any) any {
	if f == nil {
		return wire(v)
	}
	switch f.kind {
	case kindHTML:
		// lists.element.update takes the text alone: it would make two values
		// of {TEXT, TYPE}.
		return htmlText(v)
	case kindDay:
		// The portal reads dates with strtotime, which takes 03/04/2024 for the
		// 4th of March wherever it is; ISO is read right.
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.day()
		}
	case kindMoment:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.wall()
		}
	}
	return wire(v)
}
