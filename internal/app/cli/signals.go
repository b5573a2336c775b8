package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible returns a context that ends with Ctrl-C or SIGTERM. By the time
// it ends, a second signal ends the process at once: signal.NotifyContext would
// leave a moment in which that one is swallowed.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return interruptibleBy(ctx, func() {})
}

// interruptibleBy is interruptible that calls tell when the signal comes.
func interruptibleBy(ctx context.Context, onSignal func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	first := make(chan os.Signal, 1)
	signal.Notify(first, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer cancel()
		select {
		case <-first:
			signal.Stop(first)
			onSignal()
		case <-ctx.Done():
			signal.Stop(first)
		}
	}()
	return ctx, cancel
}
