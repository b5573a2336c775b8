package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Value is a compiled value of a rule file: a literal, a formula, text with {{ }}, a
// list or a record of values. Only one of these fields is set; a literal may be nil.
type Value struct {
	File *yamlfile.File
	Node *yaml.Node
	Type formula.Type

	Literal  any
	Formula  *formula.Formula
	Template *formula.Template
	List     []*Value
	Record   *FieldsValue
}

// FieldsValue is a mapping whose keys may be formulas.
type FieldsValue struct {
	Entries []*FieldEntry
}

// FieldEntry is one entry of a FieldsValue.
type FieldEntry struct {
	Key, Value *Value
}

// NamedValue is one entry of a mapping whose keys define names.
type NamedValue struct {
	Name  string
	Key   *yaml.Node
	Value *Value
}

// FormulaOffset is the number of characters before a formula in a scalar: "=".
const FormulaOffset = 1

// Const returns the value if it is the same in every run.
func (v *Value) Const() (any, bool) {
	switch {
	case v == nil:
		return nil, false
	case v.Formula != nil:
		return v.Formula.Const()
	case v.List != nil:
		return v.constantList()
	case v.Template != nil, v.Record != nil:
		return nil, false
	}
	return v.Literal, true
}

// constantList returns the value of a list of constants.
func (v *Value) constantList() (any, bool) {
	list := make([]any, len(v.List))
	for i, e := range v.List {
		x, constant := e.Const()
		if !constant {
			return nil, false
		}
		list[i] = x
	}
	return list, true
}

// Reads calls add for every name that the value's formulas read.
func (v *Value) Reads(add func(name string)) {
	if v == nil {
		return
	}
	switch {
	case v.Formula != nil:
		for _, n := range v.Formula.Vars() {
			add(n)
		}
	case v.Template != nil:
		for _, n := range v.Template.Vars() {
			add(n)
		}
	}
	for _, e := range v.List {
		e.Reads(add)
	}
	if v.Record != nil {
		v.Record.Reads(add)
	}
}

// Paths calls add for every path that the value's formulas read.
func (v *Value) Paths(add func(path string)) {
	if v == nil {
		return
	}
	var own []string
	switch {
	case v.Formula != nil:
		own = v.Formula.Paths()
	case v.Template != nil:
		own = v.Template.Paths()
	}
	for _, p := range own {
		add(p)
	}
	for _, e := range v.List {
		e.Paths(add)
	}
	if v.Record != nil {
		v.Record.Paths(add)
	}
}

// Paths calls add for every path that the formulas of keys and values read.
func (f *FieldsValue) Paths(add func(path string)) {
	if f == nil {
		return
	}
	for _, e := range f.Entries {
		e.Key.Paths(add)
		e.Value.Paths(add)
	}
}

// Reads calls add for every name that the formulas of keys and values read.
func (f *FieldsValue) Reads(add func(name string)) {
	for _, e := range f.Entries {
		e.Key.Reads(add)
		e.Value.Reads(add)
	}
}

// FromData reports whether a part of the value may come from data of the portal, an
// event or another system; see formula.Formula.FromData.
func (v *Value) FromData() bool {
	switch {
	case v == nil:
		return false
	case v.Formula != nil:
		return v.Formula.FromData()
	case v.Template != nil:
		return v.Template.FromData()
	case v.Record != nil:
		return slices.ContainsFunc(v.Record.Entries, func(e *FieldEntry) bool { return e.Key.FromData() || e.Value.FromData() })
	}
	return slices.ContainsFunc(v.List, (*Value).FromData)
}

// Conjuncts returns the canonical texts of the conditions that && joins in a when.
func (v *Value) Conjuncts() []string {
	if v == nil || v.Formula == nil {
		return nil
	}
	return v.Formula.Conjuncts()
}

// FactsIfFalse returns what is known when the condition is false.
func (v *Value) FactsIfFalse() formula.Facts {
	if v == nil || v.Formula == nil {
		return nil
	}
	return v.Formula.FactsIfFalse()
}

// FactsOfElement returns what is known where the value, a list, has an element.
func (v *Value) FactsOfElement() formula.Facts {
	if v == nil || v.Formula == nil {
		return nil
	}
	return v.Formula.FactsOfElement()
}

// Facts returns what is known when the condition is true, for example that a value is
// not nil.
func (v *Value) Facts() formula.Facts {
	if v == nil || v.Formula == nil {
		return nil
	}
	return v.Formula.Facts()
}

// Eval computes the value. Its error is a *PlaceError.
func (v *Value) Eval(ctx context.Context, sc Scope) (any, error) {
	switch {
	case v.Formula != nil:
		out, err := v.Formula.Eval(sc.Machine, sc.Vars)
		return out, v.placed(err, FormulaOffset)
	case v.Template != nil:
		out, err := v.Template.Eval(sc.Machine, sc.Vars)
		return out, v.placed(err, 0)
	case v.List != nil:
		out := make([]any, 0, len(v.List))
		for _, e := range v.List {
			x, err := e.Eval(ctx, sc)
			if err != nil {
				return nil, err
			}
			if x != formula.Omitted {
				out = append(out, x)
			}
		}
		return out, nil
	case v.Record != nil:
		fields, err := v.Record.Eval(ctx, sc)
		return fields.Map(), err
	}
	return v.Literal, nil
}

// True evaluates a condition. It returns an error when the condition fails or is
// neither true nor false.
func (v *Value) True(ctx context.Context, sc Scope) (bool, error) {
	x, err := v.Eval(ctx, sc)
	if err != nil {
		return false, err
	}
	b, ok := x.(bool)
	if !ok {
		return false, v.Errorf("when must be true or false, but the formula gives %s", KindOf(x))
	}
	return b, nil
}

// placed adds the place in the file to a formula's error. offset is where the formula
// starts in the scalar.
func (v *Value) placed(err error, offset int) error {
	if err == nil {
		return nil
	}
	var fe *formula.Error
	if !errors.As(err, &fe) {
		return &PlaceError{Pos: v.File.Pos(v.Node), Err: err}
	}
	return &PlaceError{Pos: v.File.At(v.Node, offset+fe.From), Err: err}
}

// Errorf returns an error at the value's place.
func (v *Value) Errorf(format string, args ...any) error {
	return &PlaceError{Pos: v.File.Pos(v.Node), Err: fmt.Errorf(format, args...)}
}

// PlaceError is an error of a run with its place in the rule file, such as a formula
// that divides by zero or a value of the wrong type.
type PlaceError struct {
	Pos Pos
	Err error
}

func (e *PlaceError) Error() string { return e.Pos.String() + ": " + e.Err.Error() }

// Unwrap returns the error without its place.
func (e *PlaceError) Unwrap() error { return e.Err }

func numInt(i int) num.Num { return num.FromInt(int64(i)) }
