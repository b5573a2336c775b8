// Package wakeup wakes one goroutine that waits for work, or for a time.
package wakeup

import (
	"context"
	"time"
)

// Sleep waits for d, or returns why ctx has ended.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Signal wakes the goroutine that receives from it. It holds one wake-up: any
// number of Sends before the goroutine receives count as one. Make it with New.
type Signal chan struct{}

// New returns a signal without a pending wake-up.
func New() Signal { return make(Signal, 1) }

// Send wakes the receiver, now or as soon as it receives. It never blocks.
func (s Signal) Send() {
	select {
	case s <- struct{}{}:
	default: // a wake-up is pending already
	}
}
