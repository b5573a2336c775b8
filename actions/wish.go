package actions

import (
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
)

// wish is the value that a rule wants a field to have.
type wish struct {
	field *field
	value any
}

// noteShortened says which fields keep less of a value than was wished, each
// field once.
func noteShortened(c *engine.Call, wishes ...wish) {
	told := map[*field]bool{}
	for _, w := range wishes {
		if told[w.field] {
			continue
		}
		n, ok := numberOf(w.value)
		switch f := w.field; {
		case ok && f.kind == kindNumber && f.places != unknownPlaces && n.Scale() > f.places:
			c.Note("field %s keeps %d digits after the point: its value was rounded", f.name, f.places)
			told[f] = true
		case f.length > 0 && utf8.RuneCountInString(textOf(w.value)) > f.length:
			c.Note("field %s keeps %d characters: its value was cut", f.name, f.length)
			told[f] = true
		}
	}
}

func wishNames(wishes []wish) string {
	names := make([]string, len(wishes))
	for i, w := range wishes {
		names[i] = w.field.name
	}
	return strings.Join(names, ", ")
}
