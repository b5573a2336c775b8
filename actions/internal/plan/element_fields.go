package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// portalSets are fields that a portal writes by itself or that have a parameter
// of their own; sending them back would be wrong or without effect.
var portalSets = []string{"ID", "IBLOCK_ID", "CODE", "BP_PUBLISHED", "MODIFIED_BY", "TIMESTAMP_X"}

// addFields are the FIELDS of lists.element.add.
func addFields(wishes []FieldValue) map[string]any {
	out := map[string]any{}
	for _, w := range wishes {
		if !w.Field.Empty(w.Value) {
			out[w.Field.Name] = w.Field.ListValue(w.Value)
		}
	}
	return out
}

// updateFields are the FIELDS of lists.element.update: the wished values, and
// everything else as it was read, for the portal clears what it is not given.
// https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-update.html
func (s *ListSchema) updateFields(e *Record, wishes []FieldValue) map[string]any {
	return s.wholeFields(e, wishes, (*Record).preserved)
}

// copyFields are the FIELDS of lists.element.add for a copy of an element that
// has the wished values.
func (s *ListSchema) copyFields(e *Record, wishes []FieldValue) map[string]any {
	return s.wholeFields(e, wishes, func(e *Record, name string, f *value.Field) any {
		values, _ := e.Values[name].([]any)
		out := make([]any, len(values))
		for i, v := range values {
			out[i] = f.SentBack(v)
		}
		if len(out) == 1 {
			return out[0]
		}
		return out
	})
}

func (s *ListSchema) wholeFields(e *Record, wishes []FieldValue, property func(e *Record, name string, f *value.Field) any) map[string]any {
	out := addFields(wishes)
	for name, v := range e.Values {
		if slices.ContainsFunc(wishes, func(w FieldValue) bool { return w.Field.Name == name }) {
			continue
		}
		f := s.byName[name]
		switch {
		case strings.HasPrefix(name, "PROPERTY_"):
			// Also of a property that is newer than what we know of the list.
			if values, _ := v.([]any); len(values) > 0 {
				out[name] = property(e, name, f)
			}
		case slices.Contains(portalSets, name) || v == nil || v == "":
		case f != nil || name == "NAME" || name == "IBLOCK_SECTION_ID":
			out[name] = v
		}
	}
	return out
}

// preserved is a property's value in the form {valueId: value}, which keeps the
// values of every type: the portal updates them in place. A file is kept by its
// id.
func (e *Record) preserved(name string, f *value.Field) any {
	values, _ := e.Values[name].([]any)
	out := make(map[string]any, len(values))
	for i, v := range values {
		out[e.valueIDs[name][i]] = f.SentBack(v)
	}
	return out
}

// LearnDates finds out how the portal orders the parts of a date with slashes
// and lets all fields know: what was read may tell, else the list itself does.
func (l *List) LearnDates(ctx context.Context, c *engine.Call, elements []*Record) error {
	seen, there := l.Schema.dateOrder(elements)
	if !there {
		return nil // and what is known stays
	}
	if seen.DayFirst == seen.MonthFirst {
		changed, err := c.Portal.ListChanged(ctx, l.typ, l.id)
		if err != nil {
			return fmt.Errorf("learn how the portal writes dates: %w", err)
		}
		seen = value.DateOrder{}
		seen.Observe(changed)
	}
	for _, f := range l.Schema.fields {
		f.DayFirst = seen.DayFirst
	}
	return nil
}

// dateOrder is what elements tell about dates with slashes, and whether there are
// any.
func (s *ListSchema) dateOrder(elements []*Record) (seen value.DateOrder, there bool) {
	for _, e := range elements {
		for _, v := range e.Values {
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			for _, x := range list {
				if text, ok := x.(string); ok && strings.Count(text, "/") == 2 && len(text) < 32 {
					there = seen.Observe(text) || there
				}
			}
		}
	}
	return seen, there
}
