package report

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/redact"
)

// MakePlan does a dry run of a rule, and returns what it would change. hide hides secrets in
// its error and in the values.
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
	for i := range changes {
		hideChange(&changes[i], hide)
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

// hideChange hides secrets that people have written into records.
func hideChange(c *dryrun.Change, hide *redact.Redactor) {
	c.Title = hide.Text(c.Title)
	for i := range c.Fields {
		f := &c.Fields[i]
		f.Before, f.After = hidden(f.Before, hide), hidden(f.After, hide)
	}
}

// hidden returns a value without secrets. A value without any is returned unchanged.
func hidden(v any, hide *redact.Redactor) any {
	if s, ok := v.(string); ok {
		return hide.Text(s)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return v // values of formulas always have a JSON form
	}
	if shown := hide.JSON(text); !bytes.Equal(shown, text) {
		return json.RawMessage(shown)
	}
	return v
}
