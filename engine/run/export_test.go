package run

import (
	"context"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
)

// Choices is the function choices of a run on a portal.
func Choices(ctx context.Context, portal engine.Portal) func(of formula.Choice, id string) (string, error) {
	return choices(ctx, &execution{run: &Run{Client: portal}, usage: &usage{limit: 100}, trace: &history.Trace{}})
}
