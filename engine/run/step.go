package run

import (
	"context"
	"errors"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// steps runs a list of steps. It adds the names that they define to sc.
func (x *execution) steps(ctx context.Context, steps []*engine.Step, sc engine.Scope) error {
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

// step runs one step and decides what follows if it fails.
func (x *execution) step(ctx context.Context, s *engine.Step, sc engine.Scope) error {
	t := history.NewStep(s)
	early := x.prefetched[s]
	if early != nil {
		t = early.trace
	}
	started := time.Now()
	err := x.attempt(ctx, s, sc, t)
	if early != nil {
		early.end()
		delete(x.prefetched, s)
	}
	t.Took = time.Since(started)
	if err != nil {
		t.Error = err.Error()
	}
	x.trace.Steps = append(x.trace.Steps, *t)
	var stop *engine.StopError
	var gone *engine.GoneError
	if err == nil || errors.As(err, &stop) || (errors.As(err, &gone) && !x.deleted) {
		return err
	}
	re := x.stepError(ctx, s, err)
	if s.OnError == engine.OnErrorPark || ctx.Err() != nil || re.Verdict == Later || (re.Verdict == Retry && !x.run.LastAttempt) {
		return re
	}
	x.undefine(s, sc)
	if s.OnError == engine.OnErrorSkip {
		return nil
	}
	inner := sc.Child(map[string]any{engine.NameError: map[string]any{"code": engine.ErrorCode(err), "message": err.Error(), "step": s.Label}})
	return x.steps(ctx, s.Instead, inner)
}

// handledAttempts is how many attempts a step with an on_error has, if its retry does not
// say it: the author expects the failure, so the run does not try for a day.
const handledAttempts = 8

// stepError wraps a step's failure and applies the step's retry.
func (x *execution) stepError(ctx context.Context, s *engine.Step, err error) *RunError {
	var inner *RunError
	if errors.As(err, &inner) {
		return inner
	}
	v, at := x.verdict(ctx, err)
	handled := s.OnError != engine.OnErrorPark
	most := s.Retry
	if most == 0 && handled {
		most = handledAttempts
	}
	if v == Retry && most > 0 && x.run.Attempt >= most {
		v = Park
	}
	pos := s.Pos
	var placed *engine.PlaceError
	if errors.As(err, &placed) {
		pos = placed.Pos
		if err == error(placed) {
			err = placed.Err // RunError has the place
		}
	}
	return &RunError{Rule: x.rule.ID, Step: s.Label, Pos: pos, Verdict: v, NotBefore: at, Handled: handled, Err: err}
}

// undefine sets the names of a step without a result to nil.
func (x *execution) undefine(s *engine.Step, sc engine.Scope) {
	if s.ID != "" {
		x.remembered.define(sc, s.ID, nil)
	}
	if s.Action.Spread {
		for _, a := range s.Args {
			for _, n := range a.Names {
				x.remembered.define(sc, n.Name, nil)
			}
		}
	}
}

// attempt runs a step if its when and the memory allow it.
func (x *execution) attempt(ctx context.Context, s *engine.Step, sc engine.Scope, t *history.StepTrace) error {
	if s.When != nil {
		ok, err := s.When.True(ctx, sc)
		if err != nil {
			return err
		}
		if !ok {
			t.Skipped, t.When = "when is false", explain(s.When, sc, x.trace.Secrets)
			x.undefine(s, sc)
			return nil
		}
	}
	d, err := x.remembered.decide(ctx, s, sc)
	if err != nil {
		return err
	}
	if d.skipped != "" {
		t.Skipped = d.skipped
		x.undefine(s, sc)
		return nil
	}
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	result, err := x.perform(ctx, s, sc, t, d)
	if err != nil {
		return err
	}
	t.Result, t.Ran = result, true
	x.define(s, sc, result)
	x.remembered.ran(s, d)
	return nil
}

// define makes a step's result visible to later steps.
func (x *execution) define(s *engine.Step, sc engine.Scope, result any) {
	if s.Action.Spread {
		if fields, ok := result.(map[string]any); ok {
			for name, v := range fields {
				x.remembered.define(sc, name, v)
			}
		}
	}
	if s.ID != "" {
		x.remembered.define(sc, s.ID, result)
	}
}

// define gives a name of a step its value. Names are unique in a rule, so those of
// on_error, which later steps do not see, hide no other in what the run remembers.
func (m *remembered) define(sc engine.Scope, name string, v any) {
	sc.Vars[name] = v
	m.results[name] = v
}

// perform runs the action, once or for each row. Of rows, which belong to for_each, it
// runs those that are due.
func (x *execution) perform(ctx context.Context, s *engine.Step, sc engine.Scope, t *history.StepTrace, d decision) (any, error) {
	when := d.when()
	if s.ForEach == nil {
		return x.act(ctx, s, sc, t, noRow, when)
	}
	due := d.rows
	var rows []any
	if due != nil {
		rows = due.all
	} else {
		var err error
		if rows, err = rowsOf(ctx, s, sc); err != nil {
			return nil, err
		}
	}
	t.Rows = len(rows)
	inner := sc.Child(nil)
	results := make([]any, 0, len(rows))
	var failed rowErrors
	for i, row := range rows {
		if due.skips(i) {
			continue
		}
		if due != nil {
			when = due.values[i]
		}
		v, err := x.act(ctx, s, inner.Row(row, i), t, i, when)
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

// rowsOf computes the rows of for_each.
func rowsOf(ctx context.Context, s *engine.Step, sc engine.Scope) ([]any, error) {
	list, err := s.ForEach.Eval(ctx, sc)
	if err != nil {
		return nil, err
	}
	rows, ok := list.([]any)
	if !ok {
		return nil, s.ForEach.Errorf("for_each takes a list, not %s", engine.KindOf(list))
	}
	if len(rows) > s.Limit {
		return nil, s.ForEach.Errorf("for_each has %d rows, but its limit is %d", len(rows), s.Limit)
	}
	return rows, nil
}

// isEnd reports whether an error ends the run, and not only one row.
func isEnd(err error) bool {
	var stop *engine.StopError
	var gone *engine.GoneError
	return errors.As(err, &stop) || errors.As(err, &gone)
}

// noRow is the row of a step without for_each.
const noRow = -1

// act binds the arguments and calls the action. when is for what value of once or time of at.
func (x *execution) act(ctx context.Context, s *engine.Step, sc engine.Scope, t *history.StepTrace, row int, when string) (any, error) {
	early := x.prefetched[s]
	if early != nil && s.Action.Prefetch == nil { // prefetch has called Run
		t.Bound(row, early.args)
		return early.wait(ctx)
	}
	args, err := bindStep(ctx, s, sc)
	if err != nil {
		return nil, err
	}
	t.Bound(row, args)
	h := &callHost{x: x, step: s, trace: t, when: when}
	c := x.call(s, row, h)
	h.prefetched = func(ctx context.Context) (any, error) {
		if early != nil {
			return early.wait(ctx)
		}
		return s.Action.Prefetch(ctx, c, args)
	}
	return s.Action.Run(ctx, c, args)
}
