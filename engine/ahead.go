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
var aheadNames = []string{NameEvent, NameInputs, NameVars}

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
func aheadOf(steps []*Step) []*Step {
	var out []*Step
	for i, s := range steps {
		if i > 0 && s.readsAhead() {
			out = append(out, s)
		}
		if s.Effect() == Writes || s.Action.Ends || s.OnError == OnErrorSteps {
			break
		}
	}
	return out
}

func (s *Step) readsAhead() bool {
	if s.When != nil || s.Once != nil || s.ForEach != nil || s.Timeout > 0 {
		return false
	}
	if s.Effect() != Reads && s.Action.Prefetch == nil {
		return false
	}
	early := true
	for _, a := range s.Args {
		a.readsAhead(s.Action, func(name string) { early = early && slices.Contains(aheadNames, name) })
	}
	return early
}

// readsAhead calls add for every name that the part of an argument reads which
// has to be known ahead.
func (a *Argument) readsAhead(of *Action, add func(name string)) {
	switch {
	case of.early(a.Field.Name):
		a.Value.Reads(add)
		if a.Fields != nil {
			a.Fields.Reads(add)
		}
		for _, n := range a.Names {
			n.Value.Reads(add)
		}
	case slices.Contains(of.PrefetchNames, a.Field.Name):
		for _, e := range a.Fields.Entries {
			e.Key.Reads(add)
		}
	}
}

// early reports whether an action needs a whole argument to read ahead.
func (a *Action) early(arg string) bool {
	return a.Prefetch == nil || slices.Contains(a.PrefetchArgs, arg)
}

// bindAhead is bind for what can be known before a step's turn.
func (s *Step) bindAhead(ctx context.Context, sc Scope) (reflect.Value, error) {
	out := reflect.New(s.Action.Arguments.Type).Elem()
	for _, a := range s.Args {
		var v reflect.Value
		var err error
		switch {
		case s.Action.early(a.Field.Name):
			v, err = a.bind(ctx, sc)
		case slices.Contains(s.Action.PrefetchNames, a.Field.Name):
			var f Fields
			f, err = a.Fields.EvalNames(ctx, sc)
			v = reflect.ValueOf(f)
		default:
			continue
		}
		if err != nil {
			return reflect.Value{}, err
		}
		out.Field(a.Field.Index).Set(v)
	}
	return out, nil
}

// readAhead begins what need not wait. What goes wrong here is said by its step.
func (x *execution) readAhead(ctx context.Context, sc Scope) {
	if x.run.InOrder || x.run.DryRun != nil {
		return
	}
	for _, s := range x.rule.Prefetch {
		args, err := s.bindAhead(ctx, sc)
		if err != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		a := &ahead{trace: newStepTrace(s), stop: stop, done: make(chan struct{}), args: args}
		if x.ahead == nil {
			x.ahead = map[*Step]*ahead{}
		}
		x.ahead[s] = a
		do := s.Action.Prefetch
		if do == nil {
			do = s.Action.Run
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
	for _, s := range x.rule.Prefetch {
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
