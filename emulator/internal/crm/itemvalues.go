package crm

import (
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// itemJSON is an item as crm.item.* shows it. only says which fields; nil is
// all of them.
func itemJSON(s *model.Store, it *model.Item, names naming, only map[*model.Field]bool) *php.Array {
	a := php.NewArray()
	for _, f := range it.Type.Fields.All {
		if f.Has(model.LegacyOnly) {
			continue
		}
		if only == nil || only[f] {
			a.Set(names.name(f), showValue(s, f, it.Values[f.Name]))
		}
	}
	if only == nil {
		a.Set("entityTypeId", value.FromInt(int64(it.Type.ID)))
	}
	return a
}

// showValue writes a stored value as crm.item.* does: numbers are numbers.
func showValue(s *model.Store, f *model.Field, v any) any {
	if f.Has(model.Multiple) {
		values := php.NewArray()
		several, _ := v.([]any)
		for _, x := range several {
			values.Append(showOneValue(s, f, x))
		}
		return values
	}
	return showOneValue(s, f, v)
}

func showOneValue(s *model.Store, f *model.Field, v any) any {
	switch v := v.(type) {
	case nil:
		if f.Has(model.ZeroNull) {
			return value.FromInt(0)
		}
		if f.Kind() == query.Bool && !f.Has(model.Disabled) {
			return "N"
		}
		return nil
	case bool:
		return value.YesNo(v)
	case int64:
		return value.FromInt(v)
	case num.Num:
		return value.FromNum(v)
	case model.Multifield:
		return multifieldJSON(v)
	case time.Time:
		if f.Kind() == query.Date {
			return s.Zone.StampDate(v)
		}
		return s.Zone.Stamp(v)
	}
	return v
}

// readValue turns a value of a call into what is stored. ok is false where the
// portal leaves the field as it is.
func readValue(s *model.Store, f *model.Field, v any) (stored any, ok bool, err error) {
	if !f.Has(model.Multiple) {
		return readOneValue(s, f, v)
	}
	a, isArray := value.Array(v)
	if !isArray {
		return nil, false, rest.Fail("100", "Expected iterable value for multiple field, but got "+value.PHPType(v)+" instead")
	}
	values := []any{}
	for _, x := range a.All() {
		y, ok, err := readOneValue(s, f, x)
		if err != nil {
			return nil, false, err
		}
		if ok && y != nil {
			values = append(values, y)
		}
	}
	return values, true, nil
}

func readOneValue(s *model.Store, f *model.Field, v any) (any, bool, error) {
	if a, isArray := value.Array(v); isArray {
		if f.Type != "file" {
			return nil, false, invalidValue(f)
		}
		return readFile(s, a), true, nil
	}
	if v == nil {
		return nil, true, nil
	}
	switch f.Kind() {
	case query.Int:
		n := value.Int(v)
		if f.User != nil && f.Type == "enumeration" && !hasOption(f.User, n) {
			return nil, false, invalidValue(f)
		}
		return n, true, nil
	case query.Num:
		return value.Num(v).Round(places(f)), true, nil
	case query.Bool:
		return value.IsYes(v), true, nil
	case query.Date:
		t, ok := s.Zone.ParseDate(v)
		return t, ok, nil
	case query.Time:
		t, ok := s.Zone.ParseTime(v)
		return t, ok, nil
	}
	return value.Text(v), true, nil
}

// readFile keeps a file by its id or takes a new one, of which only the id is
// kept.
func readFile(s *model.Store, a *php.Array) any {
	for _, key := range []string{"id", "ID"} {
		if id, ok := a.Get(key); ok {
			return value.Int(id)
		}
	}
	return s.Next("file")
}

// places is how many digits after the point a number keeps.
func places(f *model.Field) int {
	if f.User != nil {
		return f.User.Precision
	}
	return 2
}

func invalidValue(f *model.Field) error {
	return rest.Fail("CRM_FIELD_ERROR_VALUE_NOT_VALID", fmt.Sprintf("Invalid value for field %q", f.Title))
}

// same reports whether two stored values are equal.
func same(a, b any) bool {
	switch x := a.(type) {
	case nil:
		several, isList := b.([]any)
		return b == nil || b == "" || b == false || isList && len(several) == 0
	case num.Num:
		y, ok := b.(num.Num)
		return ok && x.Equal(y)
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case []any:
		y, _ := b.([]any)
		return slices.EqualFunc(x, y, same)
	}
	if b == nil {
		return same(nil, a)
	}
	return a == b
}
