package engine

import (
	"context"
	"reflect"
	"slices"
)

// A run asks its portal for one thing after another, and each answer is a round
// trip. What a later step reads often does not depend on the answers before it:
// the elements of a scope that is the event's id may travel with the product
// rows. Such reads begin with the run, as long as nothing before them writes.

// aheadNames are what formulas see before the first step.
var aheadNames = []string{nameEvent, nameInputs, nameVars}

// ahead is what a step reads before its turn.
type ahead struct {
	trace *StepTrace
	stop  context.CancelFunc
	done  chan struct{} // closed when value and err are there
	args  reflect.Value
	value any
	err   error
}

// wait returns what was read.
func (a *ahead) wait(ctx context.Context) (any, error) {
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end waits until nothing is read any more.
func (a *ahead) end() {
	a.stop()
	<-a.done
}

// aheadOf finds the steps of a list whose reads need not wait for the steps
// before them. A step that may not run at all reads nothing ahead, and none does
// after one that writes or may end the run.
func aheadOf(steps []*step) []*step {
	var out []*step
	for i, s := range steps {
		if i > 0 && s.readsAhead() {
			out = append(out, s)
		}
		if s.effect() == Writes || s.action.Ends || s.onError == run {
			break
		}
	}
	return out
}

func (s *step) readsAhead() bool {
	if s.when != nil || s.once != nil || s.forEach != nil || s.timeout > 0 {
		return false
	}
	if s.effect() != Reads && s.action.ahead == nil {
		return false
	}
	early := true
	for _, a := range s.args {
		a.readsAhead(s.action, func(name string) { early = early && slices.Contains(aheadNames, name) })
	}
	return early
}

// readsAhead calls add for every name that the part of an argument reads which
// has to be known ahead.
func (a *argValueOf) readsAhead(of *Action, add func(name string)) {
	switch {
	case of.early(a.field.Name):
		a.value.reads(add)
		if a.fields != nil {
			a.fields.reads(add)
		}
		for _, n := range a.names {
			n.value.reads(add)
		}
	case slices.Contains(of.aheadNames, a.field.Name):
		for _, e := range a.fields.entries {
			e.key.reads(add)
		}
	}
}

// early reports whether an action needs a whole argument to read ahead.
func (a *Action) early(arg string) bool {
	return a.ahead == nil || slices.Contains(a.aheadArgs, arg)
}

// bindAhead is bind for what can be known before a step's turn.
func (s *step) bindAhead(ctx context.Context, sc scope) (reflect.Value, error) {
	out := reflect.New(s.action.args.typ).Elem()
	for _, a := range s.args {
		var v reflect.Value
		var err error
		switch {
		case s.action.early(a.field.Name):
			v, err = a.bind(ctx, sc)
		case slices.Contains(s.action.aheadNames, a.field.Name):
			var f Fields
			f, err = a.fields.evalNames(ctx, sc)
			v = reflect.ValueOf(f)
		default:
			continue
		}
		if err != nil {
			return reflect.Value{}, err
		}
		out.Field(a.field.index).Set(v)
	}
	return out, nil
}

// readAhead begins what need not wait. What goes wrong here is said by its step.
func (x *execution) readAhead(ctx context.Context, sc scope) {
	if x.run.InOrder || x.run.DryRun != nil {
		return
	}
	for _, s := range x.rule.ahead {
		args, err := s.bindAhead(ctx, sc)
		if err != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		a := &ahead{trace: newStepTrace(s), stop: stop, done: make(chan struct{}), args: args}
		if x.ahead == nil {
			x.ahead = map[*step]*ahead{}
		}
		x.ahead[s] = a
		do := s.action.ahead
		if do == nil {
			do = s.action.run
		}
		c := x.call(s, a.trace, noRow)
		go func() {
			defer close(a.done)
			a.value, a.err = do(ctx, c, args)
		}()
	}
}

// endAhead ends what was read ahead for steps that had no turn, and keeps what
// they sent for the history.
func (x *execution) endAhead() {
	for _, s := range x.rule.ahead {
		a := x.ahead[s]
		if a == nil {
			continue
		}
		a.end()
		a.trace.Skipped = "the run ended before; it had read ahead"
		x.trace.Steps = append(x.trace.Steps, *a.trace)
	}
	x.ahead = nil
}

// ReadAhead returns what the action's Ahead reads for this step: what it has
// read before, or reads now. It is called once, by Run.
func ReadAhead[T any](ctx context.Context, c *Call) (T, error) {
	v, err := c.read(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}
