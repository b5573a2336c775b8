package service

import (
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/queue"
)

// runMemory is the memory of a run of the queue.
type runMemory struct {
	*queue.Run
}

func memoryOf(r *queue.Run) engine.Memory { return runMemory{r} }

// Follow implements engine.Memory.
func (runMemory) Follow([]engine.Start) {}

// Wake implements engine.Memory.
func (runMemory) Wake(time.Time) {}
