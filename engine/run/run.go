package run

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/redact"
)

// Run is one execution of one rule for one entity.
type Run struct {
	// Portal is the name of the portal in the configuration.
	Portal string
	// Client is the portal itself.
	Client engine.Portal
	// Entity is what the run is about.
	Entity engine.Entity
	// Event is the latest event of the run.
	Event engine.Event
	// Count is how many events became this run. Added and Deleted say whether events
	// about a new or a deleted entity are among them.
	Count          int
	Added, Deleted bool
	// LastAttempt says that no other attempt follows a failure, so on_error applies.
	LastAttempt bool
	// Attempt is the number of this attempt, from 1.
	Attempt int
	// Repeated says that the run may have been started before, and killed after its writes. It is also
	// true if no attempt counts.
	Repeated bool
	// Inputs are the values that RuleSet.BindInputs returned.
	Inputs map[string]any
	// Memory is what the runs of the rule remember about the entity. Nil remembers
	// nothing.
	Memory engine.Memory
	// Quiet says that no event has reported a change of the entity: the run repairs, as those of a
	// sync do. A condition of entered that no run has looked at before then counts as true
	// before.
	Quiet bool
	// Arrived is asked before a run that is Quiet or a Look remembers a state of which no run
	// knew. Its error ends the attempt: see TooSoonError. Nil is never asked.
	Arrived func(ctx context.Context) error
	// Guard stops cycles of rules. Nil stops none.
	Guard *LoopGuard
	// Fields finds custom fields that somebody has deleted. Nil finds none.
	Fields *Fields
	// Zone is the portal's time zone. Nil leaves times unchanged.
	Zone *time.Location
	// Language is that of names and numbers in formulas; "" is English.
	Language datetime.Language
	// Calendar is the portal's calendar of work. Nil reads it in each run that needs it.
	Calendar *Calendar
	// Log receives the messages of log steps. Nil discards them.
	Log *slog.Logger
	// Rule finds a rule of the portal that a step starts, nil if there is none. A nil Rule
	// finds none.
	Rule func(id string) *engine.Rule
	// Now is the time for steps with at. The zero value is the present.
	Now time.Time
	// Look makes a dry run remember what no run has remembered before. It starts nothing,
	// and times that have passed count as done.
	Look bool
	// DryRun makes the run read only: it does not write to Client and Memory, and does
	// not use Guard. Nil is a real run.
	DryRun DryRun
	// Shadow makes a dry run remember, start and plan what a real run would.
	Shadow bool
	// ID names this run among all runs of its portal. It is the same in every attempt,
	// and "" for a run that is never repeated.
	ID string
	// Send sends requests to other systems, in tests. Nil sends them over the network.
	Send engine.SendFunc
	// Adopt makes a dry run take over records that exist, without what its steps do otherwise.
	// Nil is any other run.
	Adopt *engine.Adoption
	// Records says what rules have made in the portal. Nil knows nothing, and then no step looks
	// for records of rules that the portal does not have.
	Records engine.Records
	// Numbers are those of entities in their series. Nil has none.
	Numbers engine.Numbers
	// Private are the private hosts that requests to other systems may reach. Nil allows
	// none.
	Private *private.Hosts
	// PortalDown reports whether the error of a call is the fault of the portal as a
	// whole, such as an outage. The run then ends with the verdict Later, whatever
	// on_error and retry say. Nil says that no error is.
	PortalDown func(ctx context.Context, err error) bool
	// InOrder switches Prefetch off, so that equal runs send equal calls in the same
	// order.
	InOrder bool

	rule *engine.Rule
}

// DryRun takes the writes of a run instead of the portal and other systems.
type DryRun interface {
	// Over returns the portal that a step of the run uses instead of p.
	Over(p engine.Portal, step string) engine.Portal
	// Outside records a request to another system instead of sending it.
	Outside(step string, call bitrix.Call)
	// Start records the runs that would follow. They do not start.
	Start(starts []engine.Start)
}

// execution is the state of one attempt of a run.
type execution struct {
	run   *Run
	rule  *engine.Rule
	usage *usage
	trace *history.Trace
	// deleted says that the deleted steps are running.
	deleted    bool
	removed    int // records deleted so far
	prefetched map[*engine.Step]*prefetched
	redactor   *redact.Redactor // hides the secret inputs; nil without any

	remembered remembered
}

// Do executes a rule for the entity of the run. It returns a trace of the run even if
// the run failed. The error is a *RunError.
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
	x.trace.DryRun = run.DryRun != nil
	switch {
	case run.DryRun == nil || run.Look:
	case run.Shadow && run.Memory != nil:
		run.Memory = shadowMemory{run.Memory}
	default:
		run.Guard, run.Memory = nil, ReadOnly(run.Memory)
	}
	if run.Now.IsZero() {
		run.Now = time.Now()
	}
	x.remembered = remembered{
		rule: r, memory: run.Memory, quiet: run.Quiet || run.Look, look: run.Look, now: run.Now, arrived: run.Arrived,
		isTrue: map[*engine.Step]bool{}, results: map[string]any{}, named: map[string]map[string]bool{},
	}
	outcome, err := x.do(ctx)
	x.trace.Outcome = outcome
	x.trace.Calls, x.trace.Writes = int(x.usage.calls.Load()), int(x.usage.writes.Load())
	x.trace.Took = time.Since(started)
	x.trace.Follows = x.remembered.follows
	if err != nil {
		x.trace.Outcome, x.trace.Failed = "", true
		return x.trace, x.failure(ctx, err)
	}
	return x.trace, nil
}

// failure wraps an error that belongs to no step.
func (x *execution) failure(ctx context.Context, err error) error {
	var re *RunError
	if errors.As(err, &re) {
		return re
	}
	v, at := x.verdict(ctx, err)
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
			x.trace.When = explain(x.rule.When, sc, x.trace.Secrets)
			return history.Skipped, err
		}
	}
	if len(x.rule.Before) > 0 {
		if sc.Vars[engine.NameBefore], err = x.remembered.past(ctx); err != nil {
			return "", err
		}
	}
	gone := x.run.Deleted
	if gone {
		// The portal decides, not the event. An entity that exists again gets the steps
		// for an entity that exists.
		if gone, err = x.isGone(ctx); err != nil {
			return "", err
		}
	}
	if !gone {
		inner := sc.Child(nil)
		outcome, err := x.existing(ctx, inner)
		if err == nil {
			err = x.commit(ctx)
		}
		var lost *engine.GoneError
		if !errors.As(err, &lost) {
			return outcome, err
		}
	}
	outcome := history.Gone
	if x.run.Look { // the run that deletes it needs the memory
		return outcome, nil
	}
	// What the steps for an existing entity have noted is dropped. The runs that they start still follow.
	x.remembered.toStore, x.remembered.wake = nil, time.Time{}
	if len(x.rule.Deleted) > 0 {
		x.deleted = true
		if outcome, err = outcomeOf(history.Removed, x.steps(ctx, x.rule.Deleted, sc)); err != nil {
			return "", err
		}
	}
	if err := x.remembered.commitGone(ctx); err != nil {
		return "", err
	}
	return outcome, x.remembered.follow(x.run)
}

// commit gives the memory what a run remembers whose entity exists, and starts what
// follows it.
func (x *execution) commit(ctx context.Context) error {
	if err := x.remembered.commit(ctx); err != nil {
		return err
	}
	return x.remembered.follow(x.run)
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

// scope returns the names that formulas see before the first step.
func (x *execution) scope(ctx context.Context) (engine.Scope, error) {
	r := x.run
	event, err := x.rule.Unwrap(r.Event)
	if err != nil {
		return engine.Scope{}, &engine.ParkedError{Err: err}
	}
	if x.rule.Hook != nil && r.Event.Code == engine.CodeHook {
		if _, err := x.rule.HookEntity(r.Portal, r.Event, r.Inputs); err != nil {
			return engine.Scope{}, &engine.ParkedError{Err: err}
		}
	}
	if x.rule.Entity != nil {
		if _, err := x.rule.EntityID(ctx, engine.EventScope(r.Entity, r.Portal, r.Event, r.Count, r.Added), r.Inputs); err != nil {
			return engine.Scope{}, err
		}
	}
	if r.Zone != nil {
		event.Time = event.Time.In(r.Zone)
	}
	vars := map[string]any{}
	inputs, secrets := splitSecrets(r.Inputs)
	x.redactor = redactorOf(secrets)
	sc := engine.Scope{Machine: formula.NewMachine(ctx).In(x.locale(ctx)), Secrets: secrets, Vars: map[string]any{
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

// isGone reports whether the portal no longer has the run's entity. For entities outside
// the CRM the event decides.
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
