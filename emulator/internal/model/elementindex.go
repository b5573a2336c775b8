package model

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/engine/num"
)

// Elements are the elements of a list in the order of their ids. They are also found by
// their codes and by the values of their properties, so that a large list stays fast.
type Elements struct {
	byID    map[int64]*Element
	all     []*Element
	byCode  map[string][]*Element // by the code in lower case
	byValue map[valueKey][]*Element
}

// valueKey is a value of a property.
type valueKey struct {
	property int64
	value    string
}

func newElements() Elements {
	return Elements{byID: map[int64]*Element{}, byCode: map[string][]*Element{}, byValue: map[valueKey][]*Element{}}
}

// Get returns the element with an id, nil without one.
func (x *Elements) Get(id int64) *Element { return x.byID[id] }

// All returns all elements in the order of their ids. The caller does not change the slice.
func (x *Elements) All() []*Element { return x.all }

// After returns the elements whose ids are greater than id.
func (x *Elements) After(id int64) []*Element {
	i, found := x.find(id)
	if found {
		i++
	}
	return x.all[i:]
}

func (x *Elements) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(x.all, id, func(e *Element, id int64) int { return cmp.Compare(e.ID, id) })
}

// ByCode returns the elements with a code, without regard to case.
func (x *Elements) ByCode(code string) []*Element { return inOrder(x.byCode[strings.ToLower(code)]) }

// With returns the elements that have one of the values in a property. The values are of
// the property's kind and not empty.
func (x *Elements) With(property int64, values []any) []*Element {
	var found []*Element
	for _, v := range values {
		found = append(found, x.byValue[valueKey{property, indexText(v)}]...)
	}
	return inOrder(found)
}

// inOrder returns elements once each, in the order of their ids.
func inOrder(found []*Element) []*Element {
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b *Element) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(found)
}

// Insert adds a new element. Its id is greater than those of all others.
func (x *Elements) Insert(e *Element) {
	x.byID[e.ID] = e
	x.all = append(x.all, e)
	x.index(e)
}

// Remove removes an element.
func (x *Elements) Remove(e *Element) {
	x.unindex(e)
	delete(x.byID, e.ID)
	if i, found := x.find(e.ID); found {
		x.all = slices.Delete(x.all, i, i+1)
	}
}

// Change changes an element that is in the list: its code and its properties may differ
// afterwards.
func (x *Elements) Change(e *Element, change func()) {
	x.unindex(e)
	change()
	x.index(e)
}

// DropField removes the values of a field from all elements.
func (x *Elements) DropField(f *IBlockField) {
	for _, e := range x.all {
		x.Change(e, func() {
			delete(e.Properties, f.ID)
			delete(e.System, f.Name)
		})
	}
}

func (x *Elements) index(e *Element) {
	if e.Code != "" {
		key := strings.ToLower(e.Code)
		x.byCode[key] = append(x.byCode[key], e)
	}
	for key := range keysOf(e) {
		x.byValue[key] = append(x.byValue[key], e)
	}
}

func (x *Elements) unindex(e *Element) {
	if e.Code != "" {
		drop(x.byCode, strings.ToLower(e.Code), e)
	}
	for key := range keysOf(e) {
		drop(x.byValue, key, e)
	}
}

func drop[K comparable](index map[K][]*Element, key K, e *Element) {
	rest := slices.DeleteFunc(index[key], func(x *Element) bool { return x == e })
	if len(rest) == 0 {
		delete(index, key)
		return
	}
	index[key] = rest
}

// keysOf returns the values of an element's properties, each once.
func keysOf(e *Element) map[valueKey]bool {
	keys := map[valueKey]bool{}
	for property, values := range e.Properties {
		for _, v := range values {
			if !query.IsBlank(v.Value) {
				keys[valueKey{property, indexText(v.Value)}] = true
			}
		}
	}
	return keys
}

// indexText is the same for values that filters take for equal.
func indexText(v any) string {
	switch v := v.(type) {
	case num.Num:
		return v.String()
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return strings.ToLower(query.Plain(v))
}
