package run

import (
	"context"

	"github.com/b24rules/b24rules/engine"
)

// dryMemory remembers nothing new.
type dryMemory struct{ engine.Memory }

// Once returns what a real run has left.
func (m dryMemory) Once(ctx context.Context, step string) (string, bool, error) {
	if m.Memory == nil {
		return "", false, nil
	}
	return m.Memory.Once(ctx, step)
}

// SetOnce does nothing.
func (dryMemory) SetOnce(string, string) {}

// Done is false: no attempt came before.
func (dryMemory) Done(context.Context, string) (bool, error) { return false, nil }

// MarkDone does nothing.
func (dryMemory) MarkDone(context.Context, string) error { return nil }
