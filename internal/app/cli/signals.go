package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible returns a context that ends on Ctrl-C or SIGTERM. A second signal
// ends the process at once. signal.NotifyContext could swallow a second signal that
// comes immediately after the first one.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return interruptibleBy(ctx, func() {})
}

// interruptibleBy is like interruptible, and calls onSignal for the first signal.
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
