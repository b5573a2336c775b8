package engine

import (
	"context"

	"github.com/b24rules/b24rules/engine/formula"
)

// Field is one named value of Fields.
type Field struct {
	Name  string
	Value any // of a formula: nil clears the field; it is never formula.Omitted
}

// Fields are named values in the order of the file. Names that are formulas in the file
// are computed. Each name is unique and not empty.
type Fields []Field

// Get returns the value of a name.
func (f Fields) Get(name string) (any, bool) {
	for _, x := range f {
		if x.Name == name {
			return x.Value, true
		}
	}
	return nil, false
}

// Map returns the fields as a map.
func (f Fields) Map() map[string]any {
	m := make(map[string]any, len(f))
	for _, x := range f {
		m[x.Name] = x.Value
	}
	return m
}

// Names are names and formulas in the order of the file. Each formula sees the names
// before it. The zero value is empty.
type Names struct {
	fields []*NamedValue
	scope  Scope
}

// Len returns the number of names.
func (n Names) Len() int { return len(n.fields) }

// Eval computes all names in order. The formulas also see the names of extra, such as
// group; nil adds none.
func (n Names) Eval(ctx context.Context, extra map[string]any) (Fields, error) {
	sc := n.scope.Child(extra)
	out := make(Fields, 0, len(n.fields))
	for _, f := range n.fields {
		v, err := f.Value.Eval(ctx, sc)
		if err != nil {
			return nil, err
		}
		sc.Vars[f.Name] = v
		out = append(out, Field{Name: f.Name, Value: v})
	}
	return out, nil
}

// RowValue is an argument that is computed for each row. Its zero value means that the
// file does not give it.
type RowValue struct {
	value *Value
	scope Scope
}

// Given reports whether the file has the argument.
func (r RowValue) Given() bool { return r.value != nil }

// Eval computes the value for one row.
func (r RowValue) Eval(ctx context.Context, row any, index int) (any, error) {
	return r.value.Eval(ctx, r.scope.Row(row, index))
}

// Errorf returns an error that names the place of this argument.
func (r RowValue) Errorf(format string, args ...any) error {
	return r.value.Errorf(format, args...)
}

// RowFields are named values that are computed for each row. Their zero value means
// that the file does not give them.
type RowFields struct {
	fields *FieldsValue
	scope  Scope
}

// Given reports whether the file has the argument.
func (r RowFields) Given() bool { return r.fields != nil }

// Eval computes the names and values for one row. Fields with the value omit are not
// in the result.
func (r RowFields) Eval(ctx context.Context, row any, index int) (Fields, error) {
	return r.fields.Eval(ctx, r.scope.Row(row, index))
}

// Names computes the names without a row. A name that depends on the row is an error.
func (r RowFields) Names(ctx context.Context) ([]string, error) {
	var out []string
	for _, e := range r.fields.Entries {
		name, err := e.name(ctx, r.scope)
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

// Eval computes names and values. An empty or repeated name is an error at its place,
// before anything is written.
func (f *FieldsValue) Eval(ctx context.Context, sc Scope) (Fields, error) {
	out := make(Fields, 0, len(f.Entries))
	for _, e := range f.Entries {
		name, err := e.name(ctx, sc)
		if err != nil {
			return nil, err
		}
		if _, taken := out.Get(name); taken {
			return nil, e.Key.Errorf("two fields have the name %q", name)
		}
		v, err := e.Value.Eval(ctx, sc)
		if err != nil {
			return nil, err
		}
		if v == formula.Omitted {
			continue
		}
		out = append(out, Field{Name: name, Value: v})
	}
	return out, nil
}

// EvalNames computes the names without their values.
func (f *FieldsValue) EvalNames(ctx context.Context, sc Scope) (Fields, error) {
	out := make(Fields, 0, len(f.Entries))
	for _, e := range f.Entries {
		name, err := e.name(ctx, sc)
		if err != nil {
			return nil, err
		}
		out = append(out, Field{Name: name})
	}
	return out, nil
}

// name computes the text of a key.
func (e *FieldEntry) name(ctx context.Context, sc Scope) (string, error) {
	v, err := e.Key.Eval(ctx, sc)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok || s == "" {
		if ok {
			return "", e.Key.Errorf("a name must not be empty")
		}
		return "", e.Key.Errorf("a name must be text, but the formula gives %s", KindOf(v))
	}
	return s, nil
}
