package engine

import "context"

// Numbers give entities numbers, each in a series. An entity keeps its number.
type Numbers interface {
	// Take returns the number of an entity, and gives it the next one if it has none:
	// at least atLeast.
	Take(ctx context.Context, series, entity string, atLeast int) (int, error)
	// Peek returns what Take would return, and gives no number.
	Peek(ctx context.Context, series, entity string, atLeast int) (int, error)
}

// Number returns the number of the run's entity in a series. In a dry run it is the one
// that a real run would get.
func (c *Call) Number(ctx context.Context, series string, atLeast int) (int, error) {
	return c.host.Number(ctx, series, atLeast)
}
