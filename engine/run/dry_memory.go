package run

import (
	"context"

	"github.com/b24rules/b24rules/engine"
)

// dryMemory reads the memory of real runs and stores nothing.
type dryMemory struct{ engine.Memory }

// Once returns the value of the last successful real run.
func (m dryMemory) Once(ctx context.Context, step string) (string, bool, error) {
	if m.Memory == nil {
		return "", false, nil
	}
	return m.Memory.Once(ctx, step)
}

// SetOnce does nothing.
func (dryMemory) SetOnce(string, string) {}

// Done is always false, because a dry run has no earlier attempt.
func (dryMemory) Done(context.Context, string) (bool, error) { return false, nil }

// MarkDone does nothing.
func (dryMemory) MarkDone(context.Context, string) error { return nil }
