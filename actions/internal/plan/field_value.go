package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// FieldValue is the value that a rule wants a field to have.
type FieldValue struct {
	Field *value.Field
	Value any
}

// NoteShortened says which fields keep less of a value than was wished, each
// field once.
func NoteShortened(c *engine.Call, wishes ...FieldValue) {
	told := map[*value.Field]bool{}
	for _, w := range wishes {
		if told[w.Field] {
			continue
		}
		n, ok := value.NumberOf(w.Value)
		switch f := w.Field; {
		case ok && f.Kind == value.KindNumber && f.Places != value.UnknownPlaces && n.Scale() > f.Places:
			c.Note("field %s keeps %d digits after the point: its value was rounded", f.Name, f.Places)
			told[f] = true
		case f.Length > 0 && utf8.RuneCountInString(value.TextOf(w.Value)) > f.Length:
			c.Note("field %s keeps %d characters: its value was cut", f.Name, f.Length)
			told[f] = true
		}
	}
}

func FieldNames(wishes []FieldValue) string {
	names := make([]string, len(wishes))
	for i, w := range wishes {
		names[i] = w.Field.Name
	}
	return strings.Join(names, ", ")
}
