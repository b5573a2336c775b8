package actions

import (
	"context"

	"github.com/b24rules/b24rules/engine"
)

// Fail parks the run.
var Fail = engine.Define(engine.Spec[failArgs]{
	Ends:       true,
	Name:       "fail",
	AlsoCalled: []string{"abort"},
	Doc: `end the run as a failure

The run is parked: it waits for a person and is not retried automatically. Use
fail with when.`,
	Says: "parks the run: {message}",
	Run: func(_ context.Context, _ *engine.Call, a failArgs) (any, error) {
		return nil, engine.ParkError("%s", a.Message)
	},
})

type failArgs struct {
	Message string `yaml:"message" validate:"required" doc:"what is wrong" example:"deal {{ event.id }} has no company"`
}
