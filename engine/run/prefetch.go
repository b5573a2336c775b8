package run

import (
	"context"
	"reflect"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// prefetched is what a step reads before its turn.
type prefetched struct {
	trace *history.StepTrace
	stop  context.CancelFunc
	done  chan struct{} // closed when value and err are there
	args  reflect.Value
	value any
	err   error
}

// wait returns what was read.
func (a *prefetched) wait(ctx context.Context) (any, error) {
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end waits until nothing is read any more.
func (a *prefetched) end() {
	a.stop()
	<-a.done
}

// prefetch begins what need not wait. What goes wrong here is said by its step.
func (x *execution) prefetch(ctx context.Context, sc engine.Scope) {
	if x.run.InOrder || x.run.DryRun != nil {
		return
	}
	for _, s := range x.rule.Prefetch {
		args, err := bindPrefetch(ctx, s, sc)
		if err != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		a := &prefetched{trace: history.NewStep(s), stop: stop, done: make(chan struct{}), args: args}
		if x.prefetched == nil {
			x.prefetched = map[*engine.Step]*prefetched{}
		}
		x.prefetched[s] = a
		do := s.Action.Prefetch
		if do == nil {
			do = s.Action.Run
		}
		c := x.call(s, noRow, &callHost{x: x, trace: a.trace})
		go func() {
			defer close(a.done)
			a.value, a.err = do(ctx, c, args)
		}()
	}
}

// endPrefetch ends what was read ahead for steps that had no turn, and keeps what
// they sent for the history.
func (x *execution) endPrefetch() {
	for _, s := range x.rule.Prefetch {
		a := x.prefetched[s]
		if a == nil {
			continue
		}
		a.end()
		a.trace.Skipped = "the run ended before; it had read ahead"
		x.trace.Steps = append(x.trace.Steps, *a.trace)
	}
	x.prefetched = nil
}
