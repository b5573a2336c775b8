package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// List is a universal list with its fields.
type List struct {
	id     int
	typ    string
	Schema *ListSchema
	// asked is when the portal was asked for the fields, and current says that this was not
	// before the list was opened.
	asked   time.Time
	current bool
}

// OpenList reads the fields of a list. The client remembers them.
func OpenList(ctx context.Context, c *engine.Call, id int, typ string) (*List, error) {
	if typ == "" {
		typ = "lists"
	}
	opened := time.Now()
	meta, err := c.Portal.ListFields(ctx, typ, id)
	if err != nil {
		return nil, err
	}
	return &List{id, typ, ListSchemaOf(meta, c.Zone), meta.Asked(), !meta.Asked().Before(opened)}, nil
}

// maxReadAge is how old the fields may be of a list that a step reads. The answer has no key
// for a property without a value, so it does not show that a property was deleted.
const maxReadAge = time.Minute

// OpenListToRead is OpenList for a step that shows elements to formulas.
func OpenListToRead(ctx context.Context, c *engine.Call, id int, typ string) (*List, error) {
	l, err := OpenList(ctx, c, id, typ)
	if err != nil || time.Since(l.asked) < maxReadAge {
		return l, err
	}
	if a := c.Portal.Do(ctx, bitrix.DescribeList(l.typ, id))[0]; a.Err != nil {
		return nil, a.Err
	}
	return OpenList(ctx, c, id, typ)
}

// changed returns an error if the portal no longer has one of the fields, or has another one
// under its name: it has ignored them in a write or a filter. ListFields is current.
func (l *List) changed(ctx context.Context, c *engine.Call, fields []FieldValue) error {
	now, err := c.Portal.ListFields(ctx, l.typ, l.id)
	if err != nil {
		return err
	}
	schema := ListSchemaOf(now, c.Zone)
	for _, v := range fields {
		f := schema.byName[v.Field.Name]
		switch {
		case f != nil && f.Kind == v.Field.Kind && f.Multiple == v.Field.Multiple:
		case f != nil:
			return fmt.Errorf("the type of property %s of list %d has changed, so the portal may have ignored its value", f.Label(), l.id)
		case schema.has(v.Field):
			return fmt.Errorf("property %s of list %d has been replaced by another one, so the portal has ignored its value", v.Field.Label(), l.id)
		default:
			return engine.ParkErrorOf(engine.ParkedByMissing, "list %d no longer has the property %s, so the portal has ignored its value", l.id, v.Field.Label())
		}
	}
	return nil
}

// has reports whether the list has a property with the code or the title of f.
func (s *ListSchema) has(f *value.Field) bool {
	return slices.ContainsFunc(s.fields, func(x *value.Field) bool {
		return f.Code != "" && x.Code == f.Code || x.Title == f.Title
	})
}

// Call is a reading call of a lists.* method on this list.
func (l *List) Call(method string, params map[string]any) bitrix.Call {
	params["IBLOCK_TYPE_ID"] = l.typ
	params["IBLOCK_ID"] = l.id
	return bitrix.Call{Method: method, Params: params}
}

// write is a writing call. The writes of one step are for different elements, so
// their order does not matter.
func (l *List) write(method string, params map[string]any) bitrix.Call {
	call := l.Call(method, params)
	call.Write, call.Unordered = true, true
	return call
}

// ListSchema describes the fields and properties of a list.
type ListSchema struct {
	fields []*value.Field
	byName map[string]*value.Field // by the REST API's name
}

func newListSchema(fields []*value.Field) *ListSchema {
	s := &ListSchema{fields: fields, byName: make(map[string]*value.Field, len(fields))}
	for _, f := range fields {
		s.byName[f.Name] = f
	}
	return s
}

// Resolve finds a field by its name in a rule: a property by its code, its title
// or as PROPERTY_n, a system field by its name.
func (s *ListSchema) Resolve(name string) (*value.Field, error) {
	if f := s.byName[name]; f != nil {
		return f, nil
	}
	bare := strings.TrimPrefix(name, "PROPERTY_")
	for _, is := range []func(*value.Field) bool{
		func(f *value.Field) bool { return f.Code != "" && (f.Code == name || f.Code == bare) },
		func(f *value.Field) bool { return f.Title == name },
		func(f *value.Field) bool { return strings.EqualFold(f.Code, name) || strings.EqualFold(f.Name, name) },
	} {
		found := s.find(is)
		if len(found) > 1 {
			return nil, engine.ParkError("%d properties of the list are named %q: %s", len(found), name, names(found))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	var known []string
	for _, f := range s.fields {
		known = append(known, f.Name, f.Code, f.Title)
	}
	if near := diag.Closest(name, known); near != "" {
		return nil, engine.ParkErrorOf(engine.ParkedByMissing, "the list has no property %q, did you mean %q?", name, near)
	}
	return nil, engine.ParkErrorOf(engine.ParkedByMissing, "the list has no property %q, it has %s", name, names(s.fields))
}

func (s *ListSchema) find(is func(*value.Field) bool) []*value.Field {
	var out []*value.Field
	for _, f := range s.fields {
		if is(f) {
			out = append(out, f)
		}
	}
	return out
}

func names(fields []*value.Field) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Label()
	}
	return strings.Join(out, ", ")
}

// FieldValues resolves and checks named values. Two names of one property are an
// error, because one of the values would be lost.
func (s *ListSchema) FieldValues(fields engine.Fields) ([]FieldValue, error) {
	out := make([]FieldValue, 0, len(fields))
	for _, x := range fields {
		f, err := s.Resolve(x.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(w FieldValue) bool { return w.Field == f }) {
			return nil, engine.ParkError("property %s is named twice", f.Label())
		}
		if err := f.Check(x.Value); err != nil {
			return nil, engine.ParkError("%w", err)
		}
		out = append(out, FieldValue{f, x.Value})
	}
	return out, nil
}

// ElementValues resolves the fields of one element and appends those of its scope.
func (l *List) ElementValues(fields engine.Fields, scope []FieldValue) ([]FieldValue, error) {
	out, err := l.Schema.FieldValues(fields)
	if err != nil {
		return nil, err
	}
	named := false
	for _, w := range out {
		if w.Field.Name == "NAME" {
			named = !w.Field.Empty(w.Value)
		}
		if w.Field.Kind == value.KindFile {
			return nil, errors.New("property " + w.Field.Label() + " holds files, which cannot be compared: remove it")
		}
		for _, s := range scope {
			if s.Field == w.Field {
				return nil, errors.New("property " + w.Field.Label() + " is in scope and in fields")
			}
		}
	}
	if !named {
		return nil, errors.New("the element has no NAME, which every element needs")
	}
	return append(out, scope...), nil
}
