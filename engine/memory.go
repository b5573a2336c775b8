package engine

import (
	"context"
	"time"
)

// Memory is what the runs of a rule remember about one entity, and what follows a run.
// Changes take effect together with the success of the run, and not at all when it
// fails: then the next attempt sees the memory of before, and does what is missing.
type Memory interface {
	// Get returns the value of a key when a run last succeeded. It does not see the
	// changes of this run.
	Get(ctx context.Context, key string) (value string, ok bool, err error)
	// Set changes the value of a key. The value "" removes the key.
	Set(key, value string)
	// Forget removes all keys.
	Forget()
	// Follow starts runs of other rules.
	Follow(starts []Start)
	// Wake plans the next run of this rule for this entity. gone says that the entity does
	// not exist any more: that run knows it, too. The latest call holds.
	Wake(at time.Time, gone bool)

	// Done reports whether an earlier attempt of this run completed an effect.
	// MarkDone stores durably, before it returns, that the effect is complete.
	Done(ctx context.Context, key string) (bool, error)
	MarkDone(ctx context.Context, key string) error
}

// Start is a run that another run starts.
type Start struct {
	Rule   string // the rule's id
	Entity Entity
}

// The kinds of keys of a step in a Memory. The step's Key follows.
const (
	KeyOnce    = "once "
	KeyEntered = "entered "
	KeyAt      = "at "
)

// MaxMemory bounds a value of a Memory, in bytes. A run that would remember more is
// parked.
const MaxMemory = 16 << 10
