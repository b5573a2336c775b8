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
	case ArgSecretURL:
		u, err := a.Value.evalSecretURL(ctx, sc)
		return reflect.ValueOf(u), err
	case ArgSecretValue:
		return a.bindSecretValue(ctx, sc)
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

// bindSecretValue computes a value, or a record, whose texts may hold secrets.
func (a *Argument) bindSecretValue(ctx context.Context, sc Scope) (reflect.Value, error) {
	v, err := a.Value.secretValue(ctx, sc)
	if err != nil {
		return reflect.Value{}, err
	}
	if a.Field.Type != typeSecretRecord {
		return reflect.ValueOf(v), nil
	}
	if _, ok := v.open.(map[string]any); !ok {
		return reflect.Value{}, a.Value.Errorf("argument %s takes names and values, not %s", a.Field.Name, KindOf(v.open))
	}
	return reflect.ValueOf(SecretRecord{v}), nil
}
