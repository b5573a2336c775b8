package run

import (
	"context"
	"reflect"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// prefetched is the result of a step's Prefetch, which may still be running.
type prefetched struct {
	trace *history.StepTrace
	stop  context.CancelFunc
	done  chan struct{} // closed when value and err are set
	args  reflect.Value
	value any
	err   error
}

// wait waits for the result.
func (a *prefetched) wait(ctx context.Context) (any, error) {
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end stops the reads and waits until they have ended.
func (a *prefetched) end() {
	a.stop()
	<-a.done
}

// prefetch starts the reads that need not wait for earlier steps. Errors appear again
// when the step runs, so they are ignored here.
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
		c := x.call(s, noRow, &callHost{x: x, step: s, trace: a.trace})
		go func() {
			defer close(a.done)
			a.value, a.err = do(ctx, c, args)
		}()
	}
}

// endPrefetch stops the reads of steps that the run did not reach, and adds their
// commands to the history.
func (x *execution) endPrefetch() {
	for _, s := range x.rule.Prefetch {
		a := x.prefetched[s]
		if a == nil {
			continue
		}
		a.end()
		a.trace.Skipped = "the run ended before this step, after its reads had started"
		x.trace.Steps = append(x.trace.Steps, *a.trace)
	}
	x.prefetched = nil
}
