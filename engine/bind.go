package engine

import (
	"context"
	"reflect"
)

// Bind computes the argument and returns the Go value for the action's struct.
func (a *Argument) Bind(ctx context.Context, sc Scope) (reflect.Value, error) {
	switch a.Field.Kind {
	case ArgDuration:
		return reflect.ValueOf(a.Fixed), nil
	case ArgFields:
		f, err := a.Fields.Eval(ctx, sc)
		return reflect.ValueOf(f), err
	case ArgSecrets:
		f, err := a.Fields.EvalSecrets(ctx, sc)
		return reflect.ValueOf(f), err
	case ArgNames:
		return reflect.ValueOf(Names{fields: a.Names, scope: sc}), nil
	case ArgRowValue:
		return reflect.ValueOf(RowValue{value: a.Value, scope: sc.Child(nil)}), nil
	case ArgRowFields:
		return reflect.ValueOf(RowFields{fields: a.Fields, scope: sc.Child(nil)}), nil
	}
	eval := a.Value.Eval
	if a.Field.Kind == ArgURL {
		eval = a.Value.evalURL
	}
	v, err := eval(ctx, sc)
	if err != nil {
		return reflect.Value{}, err
	}
	if v == nil && a.Field.Required {
		return reflect.Value{}, a.Value.Errorf("argument %s has no value", a.Field.Name)
	}
	if v == nil {
		return reflect.Zero(a.Field.Type), nil
	}
	x, err := a.Field.Convert(v)
	if err != nil {
		return reflect.Value{}, a.Value.Errorf("argument %s: %w", a.Field.Name, err)
	}
	if broken := a.Field.Broken(x); !broken.Empty() {
		return reflect.Value{}, a.Value.Errorf("argument %s %s", a.Field.Name, broken)
	}
	return x, nil
}
