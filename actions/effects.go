package actions

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/engine"
)

// An action that may happen twice records that it is done, so that a later
// attempt of the run skips it.

// wasDone reports whether an earlier attempt of the run has recorded this key.
func wasDone(ctx context.Context, c *engine.Call, key, what string) (bool, error) {
	done, err := c.Memory.Done(ctx, key)
	if err != nil {
		return false, fmt.Errorf("read whether %s was done: %w", what, err)
	}
	if done {
		c.Note("%s was done by an earlier attempt", what)
	}
	return done, nil
}

// isDone records that the effect with this key is done.
func isDone(ctx context.Context, c *engine.Call, key, what string) error {
	if err := c.Memory.MarkDone(ctx, key); err != nil {
		return fmt.Errorf("record that %s is done: %w", what, err)
	}
	return nil
}
