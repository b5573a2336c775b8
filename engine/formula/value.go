package formula

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
)

// Omitted is the value of the name omit: "leave the field alone", where nil
// says "clear the field".
var Omitted any = omitted{}

type omitted struct{}

// String makes an omit readable in a log.
func (omitted) String() string { return "omit" }

// deleted is the value of a field that the portal no longer has. Every use of it fails.
type deleted string

// Deleted returns the value of a field that existed and that somebody has deleted. nil
// would mean that the field is empty.
func Deleted(name string) any { return deleted(name) }

// MarshalJSON writes the field as an empty one.
func (deleted) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func (d deleted) error() error {
	return fmt.Errorf("the portal no longer has the field %s", string(d))
}

// present returns a field of a record. It fails if somebody has deleted it.
func present(record map[string]any, name string) any { return notDeleted(record[name]) }

// notDeleted returns a value. It fails for that of a deleted field.
func notDeleted(v any) any {
	if err := errDeleted(v); err != nil {
		fail(err)
	}
	return v
}

// errDeleted is the error of using the value of a deleted field.
func errDeleted(v any) error {
	if d, ok := v.(deleted); ok {
		return d.error()
	}
	return nil
}

// maxDepth bounds the nesting of values that are compared.
const maxDepth = 64

var errTooDeep = fmt.Errorf("the values are nested deeper than %d levels", maxDepth)

// kindOf returns the kind of a value, Any for what no formula can hold.
func kindOf(v any) Kind {
	switch v.(type) {
	case nil:
		return Nil
	case bool:
		return Bool
	case num.Num:
		return Number
	case string:
		return String
	case time.Time:
		return Time
	case []any:
		return List
	case map[string]any:
		return Record
	case omitted:
		return Omit
	}
	return Any
}

// describe names a value's kind for a message.
func describe(v any) string {
	if d, ok := v.(deleted); ok {
		return "the deleted field " + string(d)
	}
	k := kindOf(v)
	if k == Any {
		return fmt.Sprintf("a %T", v)
	}
	return Type{Kind: k}.String()
}

// Is reports whether a value is of type t, also in its lists and records.
func Is(v any, t Type) bool { return conforms(v, t, 0) }

// conforms reports whether a value is of type t, looking into lists and records.
func conforms(v any, t Type, depth int) bool {
	kind := kindOf(v)
	switch {
	case t.Kind == Any || depth > maxDepth:
		return true
	case kind == Nil:
		return t.mayBeNil()
	case kind == Number && t.Kind == Int:
		return v.(num.Num).IsInt()
	case kind != t.Kind:
		return false
	case kind == List:
		return !slices.ContainsFunc(v.([]any), func(e any) bool { return !conforms(e, t.elem(), depth+1) })
	case kind == Record:
		return conformsRecord(v.(map[string]any), t, depth)
	}
	return true
}

func conformsRecord(v map[string]any, t Type, depth int) bool {
	for name, field := range t.Fields {
		if !conforms(v[name], field, depth+1) {
			return false
		}
	}
	return true
}

// errKinds is the error of comparing what can only be unequal by mistake.
func errKinds(a, b any) error {
	return fmt.Errorf("%s cannot be compared with %s: write number(…) or string(…)", describe(a), describe(b))
}

// equal compares by value: 1.0 equals 1.00, times are equal by instant, and a day equals
// each moment of it. nil equals only nil; values of two different kinds are an error.
func equal(m *Machine, a, b any, depth int) (bool, error) {
	if depth > maxDepth {
		return false, errTooDeep
	}
	ka, kb := kindOf(a), kindOf(b)
	if ka == Any || kb == Any {
		if err := cmp.Or(errDeleted(a), errDeleted(b)); err != nil {
			return false, err
		}
	}
	if ka == Nil || kb == Nil {
		return ka == kb, nil
	}
	if ka != kb {
		return false, errKinds(a, b)
	}
	switch x := a.(type) {
	case string:
		y := b.(string)
		if len(x) != len(y) {
			return false, nil
		}
		return x == y, m.read(len(x))
	case []any:
		return equalLists(m, x, b.([]any), depth)
	case map[string]any:
		return equalRecords(m, x, b.(map[string]any), depth)
	}
	return equalScalars(a, b), nil
}

// equalScalars compares two values of one kind that is no list or record.
func equalScalars(a, b any) bool {
	switch x := a.(type) {
	case num.Num:
		return x.Equal(b.(num.Num))
	case time.Time:
		return datetime.Compare(x, b.(time.Time)) == 0
	case string:
		return x == b.(string)
	case bool:
		return x == b.(bool)
	}
	return kindOf(a) == Omit
}

func equalLists(m *Machine, a, b []any, depth int) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	if err := m.spend(len(a)); err != nil {
		return false, err
	}
	for i := range a {
		if same, err := equal(m, a[i], b[i], depth+1); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func equalRecords(m *Machine, a, b map[string]any, depth int) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	if err := m.spend(len(a)); err != nil {
		return false, err
	}
	for _, name := range slices.Sorted(maps.Keys(a)) { // in order, so that an error is the same each time
		other, ok := b[name]
		if !ok {
			return false, errDeleted(a[name])
		}
		if same, err := equal(m, a[name], other, depth+1); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// compare orders two numbers, texts, times or booleans of one kind.
func compare(a, b any) (int, error) {
	switch x := a.(type) {
	case num.Num:
		if y, ok := b.(num.Num); ok {
			return x.Cmp(y), nil
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), nil
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return datetime.Compare(x, y), nil
		}
	case bool:
		if y, ok := b.(bool); ok {
			return cmp.Compare(boolRank(x), boolRank(y)), nil
		}
	}
	if a == nil || b == nil {
		return 0, errMissing
	}
	if kindOf(a) != kindOf(b) {
		return 0, errKinds(a, b)
	}
	return 0, fmt.Errorf("%s has no order", describe(a))
}

// compareWithin is compare that counts the reading of long texts.
func compareWithin(m *Machine, a, b any) (int, error) {
	x, isText := a.(string)
	if y, too := b.(string); isText && too {
		if err := m.read(min(len(x), len(y))); err != nil {
			return 0, err
		}
	}
	return compare(a, b)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

var errMissing = errors.New("the value is missing (nil): write `?? …` for what to take instead")

// appendKey appends a text that two values share exactly if they are equal, so
// that lists can be grouped and made unique by value.
func appendKey(m *Machine, key []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch x := v.(type) {
	case bool:
		return strconv.AppendBool(append(key, 'b'), x), nil
	case num.Num:
		return append(append(key, 'n'), x.String()...), nil
	case string:
		if err := m.grow(len(x)); err != nil {
			return nil, err
		}
		return strconv.AppendQuote(append(key, 's'), x), nil
	case time.Time:
		if datetime.IsDay(x) {
			return x.AppendFormat(append(key, 'd'), time.DateOnly), nil
		}
		return x.UTC().AppendFormat(append(key, 't'), time.RFC3339Nano), nil
	case []any:
		return appendListKey(m, key, x, depth)
	case map[string]any:
		return appendRecordKey(m, key, x, depth)
	}
	return append(append(key, 'z'), describe(v)...), errDeleted(v)
}

func appendListKey(m *Machine, key []byte, list []any, depth int) ([]byte, error) {
	err := m.spend(len(list))
	key = append(key, '[')
	for _, e := range list {
		if err != nil {
			return nil, err
		}
		key, err = appendKey(m, key, e, depth+1)
		key = append(key, ',')
	}
	return append(key, ']'), err
}

func appendRecordKey(m *Machine, key []byte, record map[string]any, depth int) ([]byte, error) {
	err := m.spend(len(record))
	key = append(key, '{')
	for _, name := range slices.Sorted(maps.Keys(record)) {
		if err != nil {
			return nil, err
		}
		key = append(strconv.AppendQuote(key, name), ':')
		key, err = appendKey(m, key, record[name], depth+1)
		key = append(key, ',')
	}
	return append(key, '}'), err
}

// SetPath sets a variable that a path names, such as item.contact.name. It makes the records on the way
// that are not there.
func SetPath(vars map[string]any, path string, v any) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		vars[name] = v
		return
	}
	inner, ok := vars[name].(map[string]any)
	if !ok {
		inner = map[string]any{}
		vars[name] = inner
	}
	SetPath(inner, rest, v)
}
