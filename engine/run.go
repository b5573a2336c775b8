package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"b24rules/bitrix"
	"b24rules/diag"
	"b24rules/engine/formula"
)

// Run is one execution of one rule for one entity.
type Run struct {
	// Portal is the name of the portal in the configuration.
	Portal string
	// Client is the portal itself.
	Client Portal
	// Entity is what the run is about.
	Entity Entity
	// Event is the latest of the events that the run stands for.
	Event Event
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
	Memory Memory
	// Guard cuts rings of rules. Nil does not guard.
	Guard *LoopGuard
	// Zone is the portal's time zone. Nil leaves times as the portal wrote
	// them.
	Zone *time.Location
	// Log receives what log steps say. Nil discards it.
	Log *slog.Logger

	rule *Rule
}

// Memory keeps what runs remember about an entity.
type Memory interface {
	// Once returns the value that a step's once had at the last successful run
	// of this rule for this entity.
	Once(ctx context.Context, step string) (value string, ok bool, err error)
	// SetOnce remembers a value when the run succeeds.
	SetOnce(step, value string)
	// Done reports whether an effect of this run was completed before, and
	// MarkDone says at once and durably that it now is.
	Done(ctx context.Context, key string) (bool, error)
	MarkDone(ctx context.Context, key string) error
}

// execution is the state of a run while it goes on.
type execution struct {
	run   *Run
	rule  *Rule
	meter *meter
	trace *Trace
	// deleted says that the deleted steps are running.
	deleted bool
	removed int // things deleted so far
}

// Run executes the rule for one entity. The trace tells what was done, also
// when the run failed; the error is a *RunError.
func (r *Rule) Run(ctx context.Context, run Run) (*Trace, error) {
	started := time.Now()
	run.rule = r
	if run.Log == nil {
		run.Log = slog.New(slog.DiscardHandler)
	}
	limit := int64(defaultCalls)
	if r.Limits.Calls > 0 {
		limit = int64(r.Limits.Calls)
	}
	x := &execution{
		run: &run, rule: r,
		meter: &meter{Portal: run.Client, limit: limit, guard: run.Guard, run: &run},
		trace: &Trace{Rule: r.ID, Version: r.Set.Version, Steps: []StepTrace{}},
	}
	outcome, err := x.do(ctx)
	x.trace.Outcome = outcome
	x.trace.Calls, x.trace.Writes = int(x.meter.calls.Load()), int(x.meter.writes.Load())
	x.trace.Took = time.Since(started)
	if err != nil {
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
	v, at := verdict(err)
	return &RunError{Rule: x.rule.ID, Pos: x.rule.Pos, Verdict: v, NotBefore: at, Err: err}
}

func (x *execution) do(ctx context.Context) (Outcome, error) {
	sc, err := x.scope(ctx)
	if err != nil {
		return "", err
	}
	if x.rule.when != nil {
		ok, err := truth(ctx, x.rule.when, sc)
		if err != nil || !ok {
			return Skipped, err
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
		outcome, err := x.existing(ctx, sc.child(nil))
		var lost *errGone
		if !errors.As(err, &lost) {
			return outcome, err
		}
	}
	if len(x.rule.deleted) == 0 {
		return Gone, nil
	}
	x.deleted = true
	return outcomeOf(Removed, x.steps(ctx, x.rule.deleted, sc))
}

// existing runs the steps for an entity that exists.
func (x *execution) existing(ctx context.Context, sc scope) (Outcome, error) {
	return outcomeOf(Done, x.steps(ctx, x.rule.steps, sc))
}

func outcomeOf(o Outcome, err error) (Outcome, error) {
	var stop *errStop
	if errors.As(err, &stop) {
		return Stopped, nil
	}
	return o, err
}

// scope is what the rule's formulas see before its first step.
func (x *execution) scope(ctx context.Context) (scope, error) {
	r := x.run
	if x.rule.entity != nil {
		if _, err := x.rule.entityID(ctx, eventScope(r.Entity, r.Portal, r.Event, r.Count, r.Added), r.Inputs); err != nil {
			return scope{}, err
		}
	}
	event := r.Event
	if r.Zone != nil {
		event.Time = event.Time.In(r.Zone)
	}
	vars := map[string]any{}
	sc := scope{machine: formula.NewMachine(ctx), vars: map[string]any{
		nameEvent:  eventScope(r.Entity, r.Portal, event, r.Count, r.Added),
		nameInputs: r.Inputs,
		nameVars:   vars,
	}}
	for _, v := range x.rule.Set.vars {
		val, err := v.value.eval(ctx, sc)
		if err != nil {
			return scope{}, err
		}
		vars = maps.Clone(vars)
		vars[v.name] = val
		sc.vars[nameVars] = vars
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
	a := x.meter.Do(ctx, bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": x.run.Entity.TypeID, "id": id}})[0]
	if bitrix.IsNotFound(a.Err) {
		return true, nil
	}
	return false, a.Err
}

func truth(ctx context.Context, v *value, sc scope) (bool, error) {
	x, err := v.eval(ctx, sc)
	if err != nil {
		return false, err
	}
	b, ok := x.(bool)
	if !ok {
		return false, v.errorf("when must give true or false, this gives %s", kindOf(x))
	}
	return b, nil
}

// steps runs a list of steps; what they define is added to sc.
func (x *execution) steps(ctx context.Context, steps []*step, sc scope) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.step(ctx, s, sc); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step and decides what its failure means.
func (x *execution) step(ctx context.Context, s *step, sc scope) error {
	t := StepTrace{Step: s.label, Action: s.action.Name, Line: s.pos.Line}
	started, calls, writes := time.Now(), x.meter.calls.Load(), x.meter.writes.Load()
	err := x.attempt(ctx, s, sc, &t)
	t.Took = time.Since(started)
	t.Calls, t.Writes = int(x.meter.calls.Load()-calls), int(x.meter.writes.Load()-writes)
	if err != nil {
		t.Error = err.Error()
	}
	x.trace.Steps = append(x.trace.Steps, t)
	var stop *errStop
	var gone *errGone
	if err == nil || errors.As(err, &stop) || (errors.As(err, &gone) && !x.deleted) {
		return err
	}
	re := x.stepError(s, err)
	if s.onError == park || ctx.Err() != nil || re.Verdict == Later || (re.Verdict == Retry && !x.run.LastAttempt) {
		return re
	}
	x.undefine(s, sc)
	if s.onError == skip {
		return nil
	}
	inner := sc.child(map[string]any{nameError: map[string]any{"code": ErrorCode(err), "message": err.Error(), "step": s.label}})
	return x.steps(ctx, s.inner, inner)
}

// stepError wraps a step's failure and applies the step's own number of
// attempts.
func (x *execution) stepError(s *step, err error) *RunError {
	var inner *RunError
	if errors.As(err, &inner) {
		return inner
	}
	v, at := verdict(err)
	if v == Retry && s.retry > 0 && x.run.Attempt >= s.retry {
		v = Park
	}
	pos := s.pos
	var placed *PlaceError
	if errors.As(err, &placed) {
		pos = placed.Pos
		if err == error(placed) {
			err = placed.Err // the place is said once
		}
	}
	return &RunError{Rule: x.rule.ID, Step: s.label, Pos: pos, Verdict: v, NotBefore: at, Err: err}
}

// undefine gives the names of a step that has no result the value nil.
func (x *execution) undefine(s *step, sc scope) {
	if s.id != "" {
		sc.vars[s.id] = nil
	}
	if s.action.Spread {
		for _, a := range s.args {
			for _, n := range a.names {
				sc.vars[n.name] = nil
			}
		}
	}
}

// attempt runs a step if its when and once say so.
func (x *execution) attempt(ctx context.Context, s *step, sc scope, t *StepTrace) error {
	if s.when != nil {
		ok, err := truth(ctx, s.when, sc)
		if err != nil {
			return err
		}
		if !ok {
			t.Skipped = "when is false"
			x.undefine(s, sc)
			return nil
		}
	}
	once := ""
	if s.once != nil {
		v, err := s.once.eval(ctx, sc)
		if err != nil {
			return err
		}
		once = onceText(v)
		before, ok, err := x.run.Memory.Once(ctx, s.label)
		if err != nil {
			return fmt.Errorf("read what once was: %w", err)
		}
		if ok && before == once {
			t.Skipped = "once: nothing new"
			x.undefine(s, sc)
			return nil
		}
	}
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	result, err := x.perform(ctx, s, sc, t)
	if err != nil {
		return err
	}
	x.define(s, sc, result)
	if s.once != nil {
		x.run.Memory.SetOnce(s.label, once)
	}
	return nil
}

// define makes a step's result visible to later steps.
func (x *execution) define(s *step, sc scope, result any) {
	if s.action.Spread {
		if fields, ok := result.(map[string]any); ok {
			maps.Copy(sc.vars, fields)
		}
	}
	if s.id != "" {
		sc.vars[s.id] = result
	}
}

// perform runs the action, once or for each row.
func (x *execution) perform(ctx context.Context, s *step, sc scope, t *StepTrace) (any, error) {
	if s.forEach == nil {
		return x.act(ctx, s, sc, t, "")
	}
	list, err := s.forEach.eval(ctx, sc)
	if err != nil {
		return nil, err
	}
	rows, ok := list.([]any)
	if !ok {
		return nil, s.forEach.errorf("for_each takes a list, this gives %s", kindOf(list))
	}
	if len(rows) > s.limit {
		return nil, &parkError{err: s.forEach.errorf("for_each has %d rows, its limit is %d", len(rows), s.limit)}
	}
	inner := sc.child(nil)
	results := make([]any, 0, len(rows))
	var failed rowErrors
	for i, row := range rows {
		v, err := x.act(ctx, s, inner.row(row, i), t, strconv.Itoa(i))
		if err != nil {
			if ctx.Err() != nil || isEnd(err) {
				return nil, err
			}
			failed.add(i, err)
			continue
		}
		results = append(results, v)
	}
	return results, failed.err(len(rows))
}

// isEnd reports an error that ends the run rather than one row.
func isEnd(err error) bool {
	var stop *errStop
	var gone *errGone
	return errors.As(err, &stop) || errors.As(err, &gone)
}

// act binds the arguments and calls the action.
func (x *execution) act(ctx context.Context, s *step, sc scope, t *StepTrace, row string) (any, error) {
	args, err := s.bind(ctx, sc)
	if err != nil {
		return nil, err
	}
	return s.action.run(ctx, x.call(s, t, row), args)
}

func (x *execution) call(s *step, t *StepTrace, row string) *Call {
	key := x.rule.ID + "/" + s.label + "/" + x.run.Entity.String()
	if row != "" {
		key += "/" + row
	}
	return &Call{
		Portal: x.meter, PortalName: x.run.Portal, Rule: x.rule.ID, Owner: x.rule.Owner, Step: s.label,
		Entity: x.run.Entity, Key: key, Pos: s.pos, Memory: x.run.Memory,
		Log: x.run.Log.With("portal", x.run.Portal, "rule", x.rule.ID, "step", s.label, "entity", x.run.Entity.String()),
		x:   x, trace: t,
	}
}

// Call is what an action knows of the step that it runs for.
type Call struct {
	Portal     Portal
	PortalName string
	// Rule is the rule's id and Owner the name under which it owns elements.
	Rule, Owner string
	// Step is the step's id, or its verb and number.
	Step string
	// Entity is what the run is about.
	Entity Entity
	// Key names this effect of this run: equal in every attempt, different
	// for every step, row and entity.
	Key string
	// Pos is the place of the step in the rule file.
	Pos    diag.Pos
	Log    *slog.Logger
	Memory Memory

	x     *execution
	trace *StepTrace
}

// Note adds a line to the step's history. It must not hold data of the portal
// beyond ids and counts.
func (c *Call) Note(format string, args ...any) {
	c.trace.Notes = append(c.trace.Notes, fmt.Sprintf(format, args...))
}

// Missing turns a portal's "not found" for an entity into the right error: when
// it is the one that the run is about, the run goes on with its deleted steps
// or ends; otherwise the error stands.
func (c *Call) Missing(entityTypeID, id int, err error) error {
	if !c.x.deleted && c.Entity.TypeID == entityTypeID && c.Entity.ID == strconv.Itoa(id) {
		return &errGone{err: err}
	}
	return err
}

// Deleting holds back a step that would delete more than the rule's limits
// allow. It is asked before anything is written.
func (c *Call) Deleting(n int) error {
	limit := c.x.rule.Limits.Deletes
	if limit > 0 && c.x.removed+n > limit {
		return ParkError("the run would delete %d things, limits.deletes of rule %s is %d", c.x.removed+n, c.Rule, limit)
	}
	c.x.removed += n
	return nil
}

// onceText writes a value of once down so that equal values have equal texts.
func onceText(v any) string {
	text, err := formula.ToText(v)
	if err != nil {
		return canonicalJSON(v)
	}
	return kindOf(v) + ":" + text
}
