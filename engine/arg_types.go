package engine

import (
	"strings"

	"github.com/b24rules/b24rules/engine/formula"
)

// ArgTypes are the arguments of a step with their types, for actions whose result or
// effect depends on them.
type ArgTypes struct {
	// args are the arguments in the file. One with a finding is nil.
	args map[string]*Argument

	known  *Known // of the portal that the file is checked for
	rule   *Rule
	inputs map[string]any // of the portal
}

// NewArgTypes returns an empty list of arguments.
func NewArgTypes() *ArgTypes {
	return &ArgTypes{args: map[string]*Argument{}}
}

// Add adds an argument of the file; a is nil when it has a finding.
func (t *ArgTypes) Add(name string, a *Argument) { t.args[name] = a }

// Arg returns an argument, nil when it is not given or has a finding.
func (t *ArgTypes) Arg(name string) *Argument {
	if t == nil {
		return nil
	}
	return t.args[name]
}

// Written reports whether the file has the argument, right or wrong.
func (t *ArgTypes) Written(name string) bool {
	_, written := t.args[name]
	return written
}

// Given reports whether the file has the argument, without a finding.
func (t *ArgTypes) Given(name string) bool { return t.Arg(name) != nil }

// Type returns the type of an argument, Any when it is not given.
func (t *ArgTypes) Type(name string) formula.Type {
	if a := t.Arg(name); a != nil {
		return a.Type
	}
	return formula.Type{Kind: formula.Any}
}

// Const returns an argument's value if it is the same in every run. For a known portal
// that includes the values of inputs.
func (t *ArgTypes) Const(name string) (any, bool) {
	if a := t.Arg(name); a != nil {
		return t.constant(a.Value)
	}
	return nil, false
}

// Entry returns the value of one name in an argument that is a mapping. It reports
// false when the value is not the same in every run.
func (t *ArgTypes) Entry(arg, name string) (any, bool) {
	a := t.Arg(arg)
	if a == nil {
		return nil, false
	}
	fields := a.Fields
	if a.Value != nil {
		fields = a.Value.Record
	}
	if fields == nil {
		return nil, false
	}
	for _, e := range fields.Entries {
		if e.Key.Literal == name {
			return t.constant(e.Value)
		}
	}
	return nil, false
}

// Part returns the entries and the value at a path of an argument: params.fields. Both
// are nil when the file does not have it, or only a run knows it.
func (t *ArgTypes) Part(path string) (entries []*FieldEntry, value *Value) {
	name, rest, nested := strings.Cut(path, ".")
	a := t.Arg(name)
	if a == nil {
		return nil, nil
	}
	fields, value := a.Fields, a.Value
	if value != nil {
		fields = value.Record
	}
	for nested && fields != nil {
		name, rest, nested = strings.Cut(rest, ".")
		value = fields.entry(name)
		if fields = nil; value != nil {
			fields = value.Record
		}
	}
	switch {
	case nested:
		return nil, nil
	case fields != nil:
		return fields.Entries, value
	}
	return nil, value
}

// entry returns the value of a name that the file has literally.
func (f *FieldsValue) entry(name string) *Value {
	for _, e := range f.Entries {
		if e.Key.Literal == name {
			return e.Value
		}
	}
	return nil
}
