package faults

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Shape says how an answer differs from the documented one.
type Shape string

// Shapes of answers. "The list" is the list of rows in the result: the result itself,
// or its only member, such as items or productRows. In an answer without a list, Absent,
// Null, False and Renamed change the result itself, and the other shapes of lists
// change nothing.
const (
	// ShapeAbsent answers without the list: {"result": {}}, or no result where the
	// result is the list.
	ShapeAbsent Shape = "absent"
	// ShapeNull and ShapeFalse answer null or false instead of the list.
	ShapeNull  Shape = "as_null"
	ShapeFalse Shape = "as_false"
	// ShapeGaps answers the list as an object with numeric keys that have gaps:
	// {"1": …, "3": …}, as PHP encodes an array from which elements were removed.
	ShapeGaps Shape = "gaps"
	// ShapeRenamed answers the list as a member with another name: data.
	ShapeRenamed Shape = "renamed"
	// ShapeShort answers only the first Keep rows of the page. total and next stay.
	ShapeShort Shape = "short"
	// ShapeTotal answers Total as the total.
	ShapeTotal Shape = "wrong_total"
	// ShapeNoNext answers a page without next, as though no page followed.
	ShapeNoNext Shape = "no_next"
	// ShapeNoID answers a write without the id of what was written: an object
	// without id, or true instead of a number.
	ShapeNoID Shape = "no_id"
)

// shapes are those of FaultShape, undoneShapes those of FaultUndone.
var (
	shapes = []Shape{
		ShapeAbsent, ShapeNull, ShapeFalse, ShapeGaps, ShapeRenamed, ShapeShort, ShapeTotal, ShapeNoNext, ShapeNoID,
	}
	undoneShapes = []Shape{ShapeFalse, ShapeNull, ShapeAbsent}
)

// Names reports whether a fault is about a field with one of these names.
func (f *Fault) Names(names ...string) bool {
	return f.Field == "" || slices.ContainsFunc(names, func(name string) bool {
		return name != "" && (strings.EqualFold(name, f.Field) || strings.EqualFold(value.ItemName(name), f.Field))
	})
}

// Reshape changes the shape of an answer. An error stays an error.
func (f *Fault) Reshape(a *rest.Answer) {
	if a.Err != nil {
		return
	}
	wrapper, list := listIn(a.Result)
	switch f.Shape {
	case ShapeAbsent:
		if wrapper == "" {
			a.Result, a.Absent = nil, true
			return
		}
		a.Result = value.EmptyObject{}
	case ShapeNull:
		a.Result = wrap(wrapper, nil)
	case ShapeFalse:
		a.Result = wrap(wrapper, false)
	case ShapeRenamed:
		renamed := a.Result
		if list != nil {
			renamed = list
		}
		a.Result = value.Object("data", renamed)
	case ShapeGaps:
		if list != nil {
			a.Result = wrap(wrapper, withGaps(list))
		}
	case ShapeShort:
		if list != nil {
			a.Result = wrap(wrapper, firstRows(list, f.Keep))
		}
	case ShapeTotal:
		a.Total, a.HasTotal = f.Total, true
	case ShapeNoNext:
		a.Next = 0
	case ShapeNoID:
		a.Result = withoutID(a.Result)
	}
}

// listIn finds the list of rows in a result and the name of the member that holds it,
// "" if the result is the list. Without a list both are empty.
func listIn(result any) (wrapper string, list *php.Array) {
	a, ok := value.Array(result)
	switch {
	case !ok:
		return "", nil
	case a.IsList():
		return "", a
	case a.Len() != 1:
		return "", nil
	}
	wrapper = a.Keys()[0]
	v, _ := a.Get(wrapper)
	if list, ok := value.Array(v); ok && list.IsList() {
		return wrapper, list
	}
	return "", nil
}

func wrap(wrapper string, v any) any {
	if wrapper == "" {
		return v
	}
	return value.Object(wrapper, v)
}

// withGaps gives the rows of a list every second key, from 1 on.
func withGaps(list *php.Array) *php.Array {
	out := php.NewArray()
	key := int64(1)
	for _, row := range list.All() {
		out.Set(value.Text(value.FromInt(key)), row)
		key += 2
	}
	return out
}

func firstRows(list *php.Array, n int) *php.Array {
	out := php.NewArray()
	for _, row := range list.All() {
		if out.Len() == n {
			break
		}
		out.Append(row)
	}
	return out
}

// withoutID returns the result of a write without the id.
func withoutID(result any) any {
	object, ok := value.Array(result)
	if !ok {
		return true
	}
	out := php.NewArray()
	for name, v := range object.All() {
		switch inner, isArray := value.Array(v); {
		case strings.EqualFold(name, "id"):
		case isArray && !inner.IsList():
			out.Set(name, withoutID(inner))
		default:
			out.Set(name, v)
		}
	}
	return out
}
