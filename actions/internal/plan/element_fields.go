package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// portalSets are fields that only the portal writes or that have a separate
// parameter. An update must not send them back.
var portalSets = []string{"ID", "IBLOCK_ID", "CODE", "BP_PUBLISHED", "MODIFIED_BY", "TIMESTAMP_X"}

// addFields are the FIELDS of lists.element.add.
func addFields(desired []FieldValue) map[string]any {
	out := map[string]any{}
	for _, w := range desired {
		if !w.Field.Empty(w.Value) {
			out[w.Field.Name] = w.Field.ListValue(w.Value)
		}
	}
	return out
}

// updateFields are the FIELDS of lists.element.update: the desired values and all
// others as they were read, because the portal clears the fields that are missing.
// https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-update.html
func (s *ListSchema) updateFields(e *Record, desired []FieldValue) map[string]any {
	return s.wholeFields(e, desired, func(e *Record, name string, f *value.Field) any {
		if e.back[name] {
			return e.copied(name, f)
		}
		return e.preserved(name, f)
	})
}

// copyFields are the FIELDS of lists.element.add for a copy of an element that
// has the desired values.
func (s *ListSchema) copyFields(e *Record, desired []FieldValue) map[string]any {
	return s.wholeFields(e, desired, (*Record).copied)
}

func (s *ListSchema) wholeFields(e *Record, desired []FieldValue, property func(e *Record, name string, f *value.Field) any) map[string]any {
	out := addFields(desired)
	for name, v := range e.Values {
		if slices.ContainsFunc(desired, func(w FieldValue) bool { return w.Field.Name == name }) {
			continue
		}
		switch f := s.byName[name]; {
		case !s.preserves(name) || v == nil || v == "":
		case strings.HasPrefix(name, "PROPERTY_"):
			// The property may be newer than the schema. f is nil then.
			if values, _ := v.([]any); len(values) > 0 {
				out[name] = property(e, name, f)
			}
		default:
			out[name] = v
		}
	}
	return out
}

// preserves reports whether an update sends back the value of a field that the
// rule does not name.
func (s *ListSchema) preserves(name string) bool {
	f := s.byName[name]
	switch {
	case f != nil && f.Kind == value.KindFile && !f.Drive:
		// The files stay if they are missing. Their ids would be an error.
		// https://github.com/bitrix24/b24restdocs/issues/11
		return false
	case strings.HasPrefix(name, "PROPERTY_"):
		return true
	}
	return !slices.Contains(portalSets, name) && (f != nil || name == "NAME" || name == "IBLOCK_SECTION_ID")
}

// preserved is a property's value in the form {valueId: value}. The portal then
// updates the values in place.
func (e *Record) preserved(name string, f *value.Field) any {
	values, _ := e.Values[name].([]any)
	out := make(map[string]any, len(values))
	for i, v := range values {
		out[e.valueIDs[name][i]] = f.SentBack(v)
	}
	return out
}

// copied is a property's value without the ids of the values. The portal then adds
// the values.
func (e *Record) copied(name string, f *value.Field) any {
	values, _ := e.Values[name].([]any)
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = f.SentBack(v)
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

// loses reports whether people have written values into an element that another
// one does not have. The fields of d belong to the rule.
func (s *ListSchema) loses(deleted, stays *Record, d Desired) bool {
	for name, v := range deleted.Values {
		if !isPeoples(name) || d.names(name) {
			continue
		}
		if f := s.column(name); !f.Sequence && !f.Empty(v) && !f.Same(v, stays.Values[name]) {
			return true
		}
	}
	return false
}

// isPeoples reports a column of a list that people fill in, unless a rule does.
func isPeoples(name string) bool {
	return strings.HasPrefix(name, "PROPERTY_") || strings.HasPrefix(name, "PREVIEW_") || strings.HasPrefix(name, "DETAIL_")
}

// column returns the field of a column, also of one that the schema does not have.
func (s *ListSchema) column(name string) *value.Field {
	if f := s.byName[name]; f != nil {
		return f
	}
	return &value.Field{Name: name, Multiple: true, Places: value.UnknownPlaces}
}

// LearnDates finds out how the portal orders the parts of a date with slashes and
// sets DayFirst of all fields. If the elements do not show the order, the time of
// the list's last change does.
func (l *List) LearnDates(ctx context.Context, c *engine.Call, elements []*Record) error {
	seen, there := l.Schema.dateOrder(elements)
	if !there {
		return nil // the known order stays
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

// dateOrder reads the order from dates with slashes. there reports whether the
// elements have any.
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
