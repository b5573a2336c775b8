package engine

import (
	"context"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// value is a value of a rule file, compiled: a literal, a formula, text with
// {{ }}, a list or a record of values. Exactly one of them is set.
type value struct {
	file *yamlfile.File
	node *yaml.Node
	typ  formula.Type

	literal  any
	formula  *formula.Formula
	template *formula.Template
	list     []*value
	record   *fieldsValue
}

// fieldsValue is a mapping whose keys may be formulas.
type fieldsValue struct {
	entries []*fieldEntry
}

type fieldEntry struct {
	key, value *value
}

// namedValue is one entry of a mapping whose keys are names being defined.
type namedValue struct {
	name  string
	key   *yaml.Node
	value *value
}

// formulaOffset is the number of characters before a formula in a scalar: "=".
const formulaOffset = 1

// constant returns the value if it is the same in every run.
func (v *value) constant() (any, bool) {
	switch {
	case v == nil:
		return nil, false
	case v.formula != nil:
		return v.formula.Const()
	case v.list != nil:
		return v.constantList()
	case v.template != nil, v.record != nil:
		return nil, false
	}
	return v.literal, true
}

// constantList is a written list of constants.
func (v *value) constantList() (any, bool) {
	list := make([]any, len(v.list))
	for i, e := range v.list {
		x, constant := e.constant()
		if !constant {
			return nil, false
		}
		list[i] = x
	}
	return list, true
}

// reads calls add for every name that the value's formulas read.
func (v *value) reads(add func(name string)) {
	if v == nil {
		return
	}
	switch {
	case v.formula != nil:
		for _, n := range v.formula.Vars() {
			add(n)
		}
	case v.template != nil:
		for _, n := range v.template.Vars() {
			add(n)
		}
	}
	for _, e := range v.list {
		e.reads(add)
	}
	if v.record != nil {
		v.record.reads(add)
	}
}

// paths calls add for every path that the value's formulas read.
func (v *value) paths(add func(path string)) {
	if v == nil {
		return
	}
	var own []string
	switch {
	case v.formula != nil:
		own = v.formula.Paths()
	case v.template != nil:
		own = v.template.Paths()
	}
	for _, p := range own {
		add(p)
	}
	for _, e := range v.list {
		e.paths(add)
	}
	if v.record != nil {
		v.record.paths(add)
	}
}

func (f *fieldsValue) paths(add func(path string)) {
	if f == nil {
		return
	}
	for _, e := range f.entries {
		e.key.paths(add)
		e.value.paths(add)
	}
}

func (f *fieldsValue) reads(add func(name string)) {
	for _, e := range f.entries {
		e.key.reads(add)
		e.value.reads(add)
	}
}

// eval computes the value. Its error is a *PlaceError.
func (v *value) eval(ctx context.Context, sc scope) (any, error) {
	switch {
	case v.formula != nil:
		out, err := v.formula.Eval(sc.machine, sc.vars)
		return out, v.placed(err, formulaOffset)
	case v.template != nil:
		out, err := v.template.Eval(sc.machine, sc.vars)
		return out, v.placed(err, 0)
	case v.list != nil:
		out := make([]any, 0, len(v.list))
		for _, e := range v.list {
			x, err := e.eval(ctx, sc)
			if err != nil {
				return nil, err
			}
			if x != formula.Omitted {
				out = append(out, x)
			}
		}
		return out, nil
	case v.record != nil:
		fields, err := v.record.eval(ctx, sc)
		return fields.Map(), err
	}
	return v.literal, nil
}

// placed gives a formula's error its place in the file. offset is where the
// formula's text begins in the scalar.
func (v *value) placed(err error, offset int) error {
	if err == nil {
		return nil
	}
	var fe *formula.Error
	if !errors.As(err, &fe) {
		return &PlaceError{Pos: v.file.Pos(v.node), Err: err}
	}
	return &PlaceError{Pos: v.file.At(v.node, offset+fe.From), Err: err}
}

// errorf returns an error at the value's place.
func (v *value) errorf(format string, args ...any) error {
	return &PlaceError{Pos: v.file.Pos(v.node), Err: fmt.Errorf(format, args...)}
}

// PlaceError is an error of a run that names the place in the rule file where
// it arose: a formula that divided by zero, a value of the wrong type.
type PlaceError struct {
	Pos diag.Pos
	Err error
}

func (e *PlaceError) Error() string { return e.Pos.String() + ": " + e.Err.Error() }

// Unwrap returns the error without its place.
func (e *PlaceError) Unwrap() error { return e.Err }

func numInt(i int) num.Num { return num.FromInt(int64(i)) }
