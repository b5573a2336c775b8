package actions

import (
	"context"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Compute defines names for later steps.
var Compute = engine.Define(engine.Spec[engine.Names]{
	Name:       "compute",
	AlsoCalled: []string{"set", "assign", "let"},
	Doc: `compute values and give them names

Formulas below a name can use it, in this step and in later steps.`,
	Spread: true,
	Says:   "computes {}",
	Run: func(ctx context.Context, _ *engine.Call, names engine.Names) (any, error) {
		fields, err := names.Eval(ctx, nil)
		if err != nil {
			return nil, err
		}
		return fields.Map(), nil
	},
	Result: func(t *engine.ArgTypes) formula.Type { return t.Type("") },
})
