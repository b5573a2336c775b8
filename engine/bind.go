package engine

import (
	"context"
	"reflect"
)

// bind computes the arguments of a step and fills the action's struct.
func (s *step) bind(ctx context.Context, sc scope) (reflect.Value, error) {
	spec := s.action.args
	out := reflect.New(spec.typ).Elem()
	for _, a := range s.args {
		target := out
		if a.field.index >= 0 {
			target = out.Field(a.field.index)
		}
		v, err := a.bind(ctx, sc)
		if err != nil {
			return reflect.Value{}, err
		}
		target.Set(v)
	}
	return out, nil
}

func (a *argValueOf) bind(ctx context.Context, sc scope) (reflect.Value, error) {
	switch a.field.kind {
	case argDuration:
		return reflect.ValueOf(a.fixed), nil
	case argFields:
		f, err := a.fields.eval(ctx, sc)
		return reflect.ValueOf(f), err
	case argSecrets:
		f, err := a.fields.evalSecrets(ctx, sc)
		return reflect.ValueOf(f), err
	case argNames:
		return reflect.ValueOf(Names{fields: a.names, scope: sc}), nil
	case argRowValue:
		return reflect.ValueOf(RowValue{value: a.value, scope: sc.child(nil)}), nil
	case argRowFields:
		return reflect.ValueOf(RowFields{fields: a.fields, scope: sc.child(nil)}), nil
	}
	v, err := a.value.eval(ctx, sc)
	if err != nil {
		return reflect.Value{}, err
	}
	if v == nil && a.field.Required {
		return reflect.Value{}, a.value.errorf("argument %s has no value", a.field.Name)
	}
	if v == nil {
		return reflect.Zero(a.field.Type), nil
	}
	x, err := convert(v, a.field.Type)
	if err != nil {
		return reflect.Value{}, a.value.errorf("argument %s: %w", a.field.Name, err)
	}
	if a.field.Rules != "" {
		if err := validate.Var(x.Interface(), a.field.Rules); err != nil {
			return reflect.Value{}, a.value.errorf("argument %s %s", a.field.Name, ruleText(err))
		}
	}
	return x, nil
}
