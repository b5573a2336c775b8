package run

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/engine"
)

// Getter reads the memory of real runs.
type Getter interface {
	Get(ctx context.Context, key string) (value string, ok bool, err error)
}

// ReadOnly returns a memory that stores nothing. of may be nil.
func ReadOnly(of Getter) engine.Memory { return dryMemory{of} }

// shadowMemory remembers what a run of shadow mode sees. Nothing was sent, so no effect is
// complete.
type shadowMemory struct{ engine.Memory }

// Done is always false.
func (shadowMemory) Done(context.Context, string) (bool, error) { return false, nil }

// MarkDone does nothing.
func (shadowMemory) MarkDone(context.Context, string) error { return nil }

// dryMemory reads the memory of real runs and stores nothing.
type dryMemory struct{ of Getter }

// Get returns the value of the last successful real run.
func (m dryMemory) Get(ctx context.Context, key string) (string, bool, error) {
	if m.of == nil {
		return "", false, nil
	}
	return m.of.Get(ctx, key)
}

// Set does nothing.
func (dryMemory) Set(string, string) {}

// Forget does nothing.
func (dryMemory) Forget() {}

// Follow does nothing.
func (dryMemory) Follow([]engine.Start) {}

// Wake does nothing.
func (dryMemory) Wake(time.Time, bool) {}

// Done is always false, because a dry run has no earlier attempt.
func (dryMemory) Done(context.Context, string) (bool, error) { return false, nil }

// MarkDone does nothing.
func (dryMemory) MarkDone(context.Context, string) error { return nil }
