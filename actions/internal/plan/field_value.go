package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// FieldValue is the desired value of a field.
type FieldValue struct {
	Field *value.Field
	Value any
}

// NoteShortened adds a note for each field that cannot keep its whole value.
func NoteShortened(c *engine.Call, desired ...FieldValue) {
	noted := map[*value.Field]bool{}
	for _, w := range desired {
		if noted[w.Field] {
			continue
		}
		n, ok := value.NumberOf(w.Value)
		switch f := w.Field; {
		case ok && f.Kind == value.KindNumber && f.Places != value.UnknownPlaces && n.Scale() > f.Places:
			c.Note("field %s has %d digits after the point: its value is rounded", f.Name, f.Places)
			noted[f] = true
		case f.Length > 0 && utf8.RuneCountInString(value.TextOf(w.Value)) > f.Length:
			c.Note("field %s has at most %d characters: its value is cut", f.Name, f.Length)
			noted[f] = true
		}
	}
}

// FieldNames joins the names of the fields.
func FieldNames(desired []FieldValue) string {
	names := make([]string, len(desired))
	for i, w := range desired {
		names[i] = w.Field.Name
	}
	return strings.Join(names, ", ")
}
