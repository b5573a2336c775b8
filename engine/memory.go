package engine

import "context"

// Memory stores values of a rule's runs for one entity.
type Memory interface {
	// Once returns the value of a step's once in the last successful run of this rule
	// for this entity.
	Once(ctx context.Context, step string) (value string, ok bool, err error)
	// SetOnce stores a value if the run succeeds.
	SetOnce(step, value string)
	// Done reports whether an earlier attempt of this run completed an effect.
	// MarkDone stores durably, before it returns, that the effect is complete.
	Done(ctx context.Context, key string) (bool, error)
	MarkDone(ctx context.Context, key string) error
}
