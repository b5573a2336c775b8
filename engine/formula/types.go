package formula

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a value, as far as it is known when a file is loaded.
type Kind uint8

// The kinds of values. Any is a value that is only known when the rule runs;
// Omit is the type of the name omit.
const (
	Any Kind = iota
	Nil
	Bool
	Int
	Number
	String
	Time
	List
	Record
	Omit
)

// Type is what is known of a value before anything runs. The zero Type is a
// value of which nothing is known.
type Type struct {
	Kind Kind
	// Maybe says that the value may be nil. Any needs no Maybe: it may be nil
	// without saying so, and is checked when the formula runs.
	Maybe bool
	// Elem is the type of a List's elements; nil means any.
	Elem *Type
	// Fields are the fields of a Record.
	Fields map[string]Type
	// Open says that a Record may have further fields, of any type.
	Open bool
	// Domain is what is known of the values beyond their kind; nil is nothing.
	Domain *Domain
}

// ListOf returns the type of a list of elem.
func ListOf(elem Type) Type { return Type{Kind: List, Elem: &elem} }

// RecordOf returns the type of a record that has these fields and no others.
func RecordOf(fields map[string]Type) Type { return Type{Kind: Record, Fields: fields} }

// OpenRecord returns the type of a record that has these fields and may have
// others, of any type.
func OpenRecord(fields map[string]Type) Type {
	return Type{Kind: Record, Fields: fields, Open: true}
}

// Optional returns the type of a value that is of type t or nil.
func (t Type) Optional() Type {
	switch t.Kind {
	case Any, Nil:
		return t
	case Omit:
		return Type{}
	}
	t.Maybe = true
	return t
}

// Present returns the type of a value of type t that is known not to be nil.
func (t Type) Present() Type {
	t.Maybe = false
	if t.Kind == Nil {
		return Type{}
	}
	return t
}

// elem returns the type of a list's elements.
func (t Type) elem() Type {
	if t.Kind != List || t.Elem == nil || t.Elem.Kind == never {
		return Type{}
	}
	return *t.Elem
}

// isNumber reports whether a value of type t can be counted with.
func (t Type) isNumber() bool { return t.Kind == Int || t.Kind == Number }

// mayBeNil reports whether the checker must expect nil.
func (t Type) mayBeNil() bool { return t.Maybe || t.Kind == Nil }

// maxNamedFields is how many fields of a record a message names.
const maxNamedFields = 4

// String names the type as a message does: "number", "text",
// "list of {price: number, …}", "text or nil".
func (t Type) String() string {
	s := t.describe(0)
	if t.Maybe {
		s += " or nil"
	}
	return s
}

func (t Type) describe(depth int) string {
	switch t.Kind {
	case Nil:
		return "nil"
	case Bool:
		return "true or false"
	case Int:
		return "whole number"
	case Number:
		return "number"
	case String:
		return "text"
	case Time:
		return "time"
	case Omit:
		return "omit"
	case List:
		elem := t.elem()
		if elem.Kind == Any {
			return "list"
		}
		return "list of " + elem.describe(depth)
	case Record:
		return t.describeRecord(depth)
	}
	return "any value"
}

func (t Type) describeRecord(depth int) string {
	if len(t.Fields) == 0 || depth > 1 {
		return "record"
	}
	names := slices.Sorted(maps.Keys(t.Fields))
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxNamedFields {
			b.WriteString("…")
			return b.String() + "}"
		}
		if !isPlainName(name) {
			name = strconv.Quote(name)
		}
		b.WriteString(name + ": " + t.Fields[names[i]].describe(depth+1))
	}
	if t.Open {
		b.WriteString(", …")
	}
	return b.String() + "}"
}

// Fits reports whether a value of type have may be used where want is expected.
// Where have is not known, the machine checks the value when the rule runs.
func Fits(have, want Type) bool {
	switch {
	case want.Kind == Any:
		return true
	case have.Kind == Any:
		return true
	case have.Kind == Omit:
		return want.Kind == Omit
	case have.mayBeNil() && !want.mayBeNil():
		return false
	case have.Kind == Nil:
		return true
	case have.Kind == Int && want.Kind == Number:
		return true
	case have.Kind != want.Kind:
		return false
	case have.Kind == List:
		return Fits(have.elem(), want.elem())
	case have.Kind == Record:
		return fitsRecord(have, want)
	}
	return true
}

func fitsRecord(have, want Type) bool {
	for name, field := range want.Fields {
		given, ok := have.Fields[name]
		if !ok {
			if !have.Open && !field.mayBeNil() && field.Kind != Any {
				return false
			}
			continue
		}
		if !Fits(given, field) {
			return false
		}
	}
	return true
}

// never is the element type of the empty list: it unifies with every type. It
// is not seen outside of this package.
const never Kind = 255

// exported returns t for callers of the package: an empty list is a list of any.
func (t Type) exported() Type {
	if t.Kind == List && t.Elem != nil {
		if t.Elem.Kind == never {
			t.Elem = nil
			return t
		}
		elem := t.Elem.exported()
		t.Elem = &elem
	}
	if t.Kind == Record && t.Fields != nil {
		fields := make(map[string]Type, len(t.Fields))
		for name, field := range t.Fields {
			fields[name] = field.exported()
		}
		t.Fields = fields
	}
	return t
}

// maxType bounds the parts of a type that a formula makes. Types share their
// parts as values do (let b = {x: a, y: a}; let c = {x: b, y: b}; …), so a short
// formula could make one that takes forever to walk through.
const maxType = 4096

// bounded returns t, or any if it has too many parts.
func bounded(t Type) Type {
	budget := maxType
	if !t.countDown(&budget) {
		return Type{}
	}
	return t
}

func (t Type) countDown(budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	if t.Elem != nil && !t.Elem.countDown(budget) {
		return false
	}
	for _, field := range t.Fields {
		if !field.countDown(budget) {
			return false
		}
	}
	return true
}

// maxUnify bounds the depth of a type that Unify looks into.
const maxUnify = 16

// Unify returns the narrowest type that holds every value of a and of b.
func Unify(a, b Type) Type { return unify(a, b, 0) }

func unify(a, b Type, depth int) Type {
	switch {
	case a.Kind == never:
		return b
	case b.Kind == never:
		return a
	case a.Kind == Any || b.Kind == Any || depth > maxUnify:
		return Type{}
	case a.Kind == Nil:
		return b.Optional()
	case b.Kind == Nil:
		return a.Optional()
	}
	maybe := a.Maybe || b.Maybe
	t := Type{Kind: a.Kind}
	if a.Domain == b.Domain {
		t.Domain = a.Domain
	}
	switch {
	case a.isNumber() && b.isNumber():
		if a.Kind != b.Kind {
			t.Kind = Number
		}
	case a.Kind != b.Kind:
		return Type{}
	case a.Kind == List:
		t = unifyLists(a, b, depth)
	case a.Kind == Record:
		t = unifyRecords(a, b, depth)
	}
	if maybe {
		t = t.Optional()
	}
	return t
}

func unifyLists(a, b Type, depth int) Type {
	if a.Elem == nil || b.Elem == nil {
		return Type{Kind: List}
	}
	return ListOf(unify(*a.Elem, *b.Elem, depth+1))
}

func unifyRecords(a, b Type, depth int) Type {
	fields := make(map[string]Type, len(a.Fields))
	open := a.Open || b.Open
	for _, name := range slices.Sorted(maps.Keys(a.Fields)) {
		other, both := b.Fields[name]
		switch {
		case both:
			fields[name] = unify(a.Fields[name], other, depth+1)
		case b.Open:
			fields[name] = Type{}
		default:
			fields[name] = a.Fields[name].Optional()
		}
	}
	for name, field := range b.Fields {
		if _, both := a.Fields[name]; both {
			continue
		}
		if a.Open {
			fields[name] = Type{}
		} else {
			fields[name] = field.Optional()
		}
	}
	return Type{Kind: Record, Fields: fields, Open: open}
}
