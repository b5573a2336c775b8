package run

import (
	"context"
	"reflect"
	"slices"

	"github.com/b24rules/b24rules/engine"
)

// bindStep computes the arguments of a step and returns the action's struct.
func bindStep(ctx context.Context, s *engine.Step, sc engine.Scope) (reflect.Value, error) {
	spec := s.Action.Arguments
	out := reflect.New(spec.Type).Elem()
	for _, a := range s.Args {
		target := out
		if a.Field.Index >= 0 {
			target = out.Field(a.Field.Index)
		}
		v, err := a.Bind(ctx, sc)
		if err != nil {
			return reflect.Value{}, err
		}
		target.Set(v)
	}
	return out, nil
}

// bindPrefetch computes those arguments of a step that its Prefetch needs.
func bindPrefetch(ctx context.Context, s *engine.Step, sc engine.Scope) (reflect.Value, error) {
	out := reflect.New(s.Action.Arguments.Type).Elem()
	for _, a := range s.Args {
		var v reflect.Value
		var err error
		switch {
		case s.Action.NeedsWhole(a.Field.Name):
			v, err = a.Bind(ctx, sc)
		case slices.Contains(s.Action.PrefetchNames, a.Field.Name):
			var f engine.Fields
			f, err = a.Fields.EvalNames(ctx, sc)
			v = reflect.ValueOf(f)
		default:
			continue
		}
		if err != nil {
			return reflect.Value{}, err
		}
		out.Field(a.Field.Index).Set(v)
	}
	return out, nil
}
