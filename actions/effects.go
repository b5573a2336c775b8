package actions

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/engine"
)

// What an action does at least once is written down when it is done, so that a
// later attempt of the run leaves it out.

// wasDone reports whether an earlier attempt has done what has this key.
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

// isDone writes down that it is done.
func isDone(ctx context.Context, c *engine.Call, key, what string) error {
	if err := c.Memory.MarkDone(ctx, key); err != nil {
		return fmt.Errorf("record that %s is done: %w", what, err)
	}
	return nil
}
