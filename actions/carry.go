package actions

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
func addFields(wishes []wish) map[string]any {
	out := map[string]any{}
	for _, w := range wishes {
		if !w.field.Empty(w.value) {
			out[w.field.Name] = w.field.ListValue(w.value)
		}
	}
	return out
}

// updateFields are the FIELDS of lists.element.update: the wished values, and
// everything else as it was read, for the portal clears what it is not given.
// https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-update.html
func (s *listSchema) updateFields(e *Record, wishes []wish) map[string]any {
	return s.wholeFields(e, wishes, (*Record).carried)
}

// copyFields are the FIELDS of lists.element.add for a copy of an element that
// has the wished values.
func (s *listSchema) copyFields(e *Record, wishes []wish) map[string]any {
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

func (s *listSchema) wholeFields(e *Record, wishes []wish, property func(e *Record, name string, f *value.Field) any) map[string]any {
	out := addFields(wishes)
	for name, v := range e.Values {
		if slices.ContainsFunc(wishes, func(w wish) bool { return w.field.Name == name }) {
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

// carried is a property's value in the form {valueId: value}, which keeps the
// values of every type: the portal updates them in place. A file is kept by its
// id.
func (e *Record) carried(name string, f *value.Field) any {
	values, _ := e.Values[name].([]any)
	out := make(map[string]any, len(values))
	for i, v := range values {
		out[e.valueIDs[name][i]] = f.SentBack(v)
	}
	return out
}

// learnDates finds out how the portal orders the parts of a date with slashes
// and lets all fields know: what was read may tell, else the list itself does.
func (l *list) learnDates(ctx context.Context, c *engine.Call, elements []*Record) error {
	seen, there := l.schema.slashes(elements)
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
	for _, f := range l.schema.fields {
		f.DayFirst = seen.DayFirst
	}
	return nil
}

// slashes is what elements tell about dates with slashes, and whether there are
// any.
func (s *listSchema) slashes(elements []*Record) (seen value.DateOrder, there bool) {
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
