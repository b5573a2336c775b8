package run

import (
	"context"
	"errors"
	"sync"
)

// Number returns the number of the run's entity in a series.
func (h *callHost) Number(ctx context.Context, series string, atLeast int) (int, error) {
	r := h.x.run
	switch {
	case r.Numbers == nil:
		return 0, errors.New("there are no numbers here")
	case r.DryRun != nil:
		return r.Numbers.Peek(ctx, series, r.Entity.String(), atLeast)
	}
	return r.Numbers.Take(ctx, series, r.Entity.String(), atLeast)
}

// LocalNumbers are numbers in this process, for tests. The zero value has none.
type LocalNumbers struct {
	mu    sync.Mutex // guards taken
	taken map[string]map[string]int
}

// Take implements engine.Numbers.
func (n *LocalNumbers) Take(ctx context.Context, series, entity string, atLeast int) (int, error) {
	number, err := n.Peek(ctx, series, entity, atLeast)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken == nil {
		n.taken = map[string]map[string]int{}
	}
	if n.taken[series] == nil {
		n.taken[series] = map[string]int{}
	}
	n.taken[series][entity] = number
	return number, err
}

// Peek implements engine.Numbers.
func (n *LocalNumbers) Peek(_ context.Context, series, entity string, atLeast int) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, ok := n.taken[series][entity]; ok {
		return number, nil
	}
	next := atLeast
	for _, number := range n.taken[series] {
		next = max(next, number+1)
	}
	return max(next, 1), nil
}
