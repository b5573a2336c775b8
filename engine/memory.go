package engine

import "context"

// Memory keeps what runs remember about an entity.
type Memory interface {
	// Once returns the value that a step's once had at the last successful run
	// of this rule for this entity.
	Once(ctx context.Context, step string) (value string, ok bool, err error)
	// SetOnce remembers a value when the run succeeds.
	SetOnce(step, value string)
	// Done reports whether an effect of this run was completed before, and
	// MarkDone says at once and durably that it now is.
	Done(ctx context.Context, key string) (bool, error)
	MarkDone(ctx context.Context, key string) error
}
