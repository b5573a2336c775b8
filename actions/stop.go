package actions

import (
	"context"

	"github.com/b24rules/b24rules/engine"
)

// Stop ends the run as a success.
var Stop = engine.Define(engine.Spec[stopArgs]{
	Ends:       true,
	Name:       "stop",
	AlsoCalled: []string{"exit", "return"},
	Doc: `end the run, successfully

Later steps do not run. Use stop with when.`,
	Says: "ends the run{: @reason}",
	Run: func(_ context.Context, _ *engine.Call, a stopArgs) (any, error) {
		return nil, engine.Stop(a.Reason)
	},
})

type stopArgs struct {
	Reason string `yaml:"reason" doc:"why, for the run's history" example:"nothing to ship"`
}
