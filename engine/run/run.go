package run

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
)

// Run is one execution of one rule for one entity.
type Run struct {
	// Portal is the name of the portal in the configuration.
	Portal string
	// Client is the portal itself.
	Client engine.Portal
	// Entity is what the run is about.
	Entity engine.Entity
	// Event is the latest of the events that the run stands for.
	Event engine.Event
	// Count is how many events the run stands for, Added whether the entity's
	// birth is among them, Deleted whether its end is.
	Count          int
	Added, Deleted bool
	// LastAttempt says that a failure will not be followed by another try, so
	// on_error has its turn.
	LastAttempt bool
	// Attempt counts from 1.
	Attempt int
	// Inputs are the values that RuleSet.BindInputs gave.
	Inputs map[string]any
	// Memory keeps what outlives the run.
	Memory engine.Memory
	// Guard cuts rings of rules. Nil does not guard.
	Guard *LoopGuard
	// Zone is the portal's time zone. Nil leaves times as the portal wrote
	// them.
	Zone *time.Location
	// Log receives what log steps say. Nil discards it.
	Log *slog.Logger
	// DryRun, if not nil, keeps the run from changing anything: Client and Memory
	// are only read, and Guard is not used.
	DryRun DryRun
	// ID tells this run from all others of its portal, in every attempt. "" is a
	// run that nobody repeats.
	ID string
	// Send takes the place of the network for requests to other systems, in
	// tests. Nil sends them.
	Send engine.SendFunc
	// InOrder keeps steps from reading ahead, so that equal runs send equal
	// calls in one order.
	InOrder bool

	rule *engine.Rule
}

// DryRun takes the writes of a run instead of the portal and other systems.
type DryRun interface {
	// Over returns what a step of the run uses instead of the portal p.
	Over(p engine.Portal, step string) engine.Portal
	// Outside notes a request to another system that is not sent.
	Outside(step string, call bitrix.Call)
}

// execution is the state of a run while it goes on.
type execution struct {
	run   *Run
	rule  *engine.Rule
	usage *usage
	trace *history.Trace
	// deleted says that the deleted steps are running.
	deleted    bool
	removed    int // things deleted so far
	prefetched map[*engine.Step]*prefetched
	hide       *strings.Replacer // takes the secrets out of a text; nil without any
}

// Do executes a rule for the entity of the run. The trace says what was done, also
// when the run failed. The error is a *RunError.
func (run Run) Do(ctx context.Context, r *engine.Rule) (*history.Trace, error) {
	started := time.Now()
	run.rule = r
	if run.Log == nil {
		run.Log = slog.New(slog.DiscardHandler)
	}
	limit := int64(engine.DefaultCalls)
	if r.Limits.Calls > 0 {
		limit = int64(r.Limits.Calls)
	}
	x := &execution{
		run: &run, rule: r,
		usage: &usage{limit: limit},
		trace: &history.Trace{Rule: r.ID, File: r.Set.File, Version: r.Set.Version, Steps: []history.StepTrace{}, Inputs: run.Inputs, Secrets: r.Set.SecretInputs()},
	}
	if run.DryRun != nil {
		run.Guard, run.Memory = nil, dryMemory{run.Memory}
	}
	outcome, err := x.do(ctx)
	x.trace.Outcome = outcome
	x.trace.Calls, x.trace.Writes = int(x.usage.calls.Load()), int(x.usage.writes.Load())
	x.trace.Took = time.Since(started)
	if err != nil {
		x.trace.Outcome, x.trace.Failed = "", true
		return x.trace, x.failure(err)
	}
	return x.trace, nil
}

// failure wraps an error that no step has claimed.
func (x *execution) failure(err error) error {
	var re *RunError
	if errors.As(err, &re) {
		return re
	}
	v, at := verdictOf(err)
	return &RunError{Rule: x.rule.ID, Pos: x.rule.Pos, Verdict: v, NotBefore: at, Err: err}
}

func (x *execution) do(ctx context.Context) (history.Outcome, error) {
	sc, err := x.scope(ctx)
	if err != nil {
		return "", err
	}
	if x.rule.When != nil {
		ok, err := x.rule.When.True(ctx, sc)
		if err != nil || !ok {
			return history.Skipped, err
		}
	}
	gone := x.run.Deleted
	if gone {
		// State decides, not the message: an entity that came back is treated
		// as any that exists.
		if gone, err = x.isGone(ctx); err != nil {
			return "", err
		}
	}
	if !gone {
		outcome, err := x.existing(ctx, sc.Child(nil))
		var lost *engine.GoneError
		if !errors.As(err, &lost) {
			return outcome, err
		}
	}
	if len(x.rule.Deleted) == 0 {
		return history.Gone, nil
	}
	x.deleted = true
	return outcomeOf(history.Removed, x.steps(ctx, x.rule.Deleted, sc))
}

// existing runs the steps for an entity that exists.
func (x *execution) existing(ctx context.Context, sc engine.Scope) (history.Outcome, error) {
	x.prefetch(ctx, sc)
	defer x.endPrefetch()
	return outcomeOf(history.Done, x.steps(ctx, x.rule.Steps, sc))
}

func outcomeOf(o history.Outcome, err error) (history.Outcome, error) {
	var stop *engine.StopError
	if errors.As(err, &stop) {
		return history.Stopped, nil
	}
	return o, err
}

// scope is what the rule's formulas see before its first step.
func (x *execution) scope(ctx context.Context) (engine.Scope, error) {
	r := x.run
	if x.rule.Entity != nil {
		if _, err := x.rule.EntityID(ctx, engine.EventScope(r.Entity, r.Portal, r.Event, r.Count, r.Added), r.Inputs); err != nil {
			return engine.Scope{}, err
		}
	}
	event := r.Event
	if r.Zone != nil {
		event.Time = event.Time.In(r.Zone)
	}
	vars := map[string]any{}
	inputs, secrets := splitSecrets(r.Inputs)
	x.hide = secretReplacer(secrets)
	sc := engine.Scope{Machine: formula.NewMachine(ctx), Secrets: secrets, Vars: map[string]any{
		engine.NameEvent:  engine.EventScope(r.Entity, r.Portal, event, r.Count, r.Added),
		engine.NameInputs: inputs,
		engine.NameVars:   vars,
	}}
	for _, v := range x.rule.Set.Vars {
		val, err := v.Value.Eval(ctx, sc)
		if err != nil {
			return engine.Scope{}, err
		}
		vars = maps.Clone(vars)
		vars[v.Name] = val
		sc.Vars[engine.NameVars] = vars
	}
	return sc, nil
}

// isGone asks the portal whether the run's entity exists. Of what the portal
// cannot be asked about the event is believed.
func (x *execution) isGone(ctx context.Context) (bool, error) {
	id, err := strconv.Atoi(x.run.Entity.ID)
	if x.run.Entity.TypeID == 0 || err != nil {
		return true, nil
	}
	a := x.portal(nil).Do(ctx, bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": x.run.Entity.TypeID, "id": id}})[0]
	if bitrix.IsNotFound(a.Err) {
		return true, nil
	}
	return false, a.Err
}
