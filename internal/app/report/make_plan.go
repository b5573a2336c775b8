package report

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/redact"
)

// MakePlan does a dry run of a rule, and returns what it would change. hide hides secrets in
// its error.
func MakePlan(ctx context.Context, r run.Run, rule *engine.Rule, hide *redact.Redactor) (Plan, error) {
	dry := &dryrun.Run{}
	r.DryRun = dry
	trace, err := r.Do(ctx, rule)
	if ctx.Err() != nil {
		return Plan{}, ctx.Err()
	}
	changes, readErr := dry.Changes(ctx)
	if readErr != nil {
		return Plan{}, readErr
	}
	out := Plan{
		Rule: rule.ID, File: trace.File, Version: trace.Version, Portal: r.Portal, Entity: r.Entity.String(),
		Outcome: trace.Outcome, Calls: trace.Calls, Changes: changes, Follows: trace.Follows,
		Starts: dry.Starts(),
		Ticks:  NextTicks(rule, time.Now(), r.Zone),
	}
	if err != nil {
		out.Error = hide.Text(err.Error())
	}
	for _, s := range trace.Steps {
		if s.Skipped != "" {
			out.Skipped = append(out.Skipped, SkippedStep{Step: s.Step, Line: s.Line, Reason: s.Skipped, When: s.When})
		}
	}
	return out, nil
}
