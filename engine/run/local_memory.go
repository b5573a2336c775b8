package run

import (
	"context"
	"maps"
	"time"

	"github.com/b24rules/b24rules/engine"
)

// LocalMemory is a memory in this process, for tests. The zero value is empty. Only one
// run may use it at a time.
type LocalMemory struct {
	// Values are what the last successful run has left.
	Values map[string]string
	// Starts and At are what follows the current run. At is zero without. Gone says that
	// the run at that time is for an entity that does not exist.
	Starts []engine.Start
	At     time.Time
	Gone   bool

	changes map[string]string
	forgets bool
	done    map[string]bool
}

// Succeed ends the run: its changes take effect, and it returns what follows.
func (m *LocalMemory) Succeed() (starts []engine.Start, at time.Time) {
	if m.forgets {
		m.Values = nil
	}
	if m.Values == nil {
		m.Values = map[string]string{}
	}
	maps.Copy(m.Values, m.changes)
	maps.DeleteFunc(m.Values, func(_, value string) bool { return value == "" })
	starts, at = m.Starts, m.At
	m.Fail()
	return starts, at
}

// Fail ends an attempt without its changes. Completed effects stay.
func (m *LocalMemory) Fail() {
	m.changes, m.forgets, m.Starts, m.At, m.Gone = nil, false, nil, time.Time{}, false
}

// Begin starts another run.
func (m *LocalMemory) Begin() {
	m.Fail()
	m.done = nil
}

// Get implements engine.Memory.
func (m *LocalMemory) Get(_ context.Context, key string) (string, bool, error) {
	value, ok := m.Values[key]
	return value, ok, nil
}

// Set implements engine.Memory.
func (m *LocalMemory) Set(key, value string) {
	if m.changes == nil {
		m.changes = map[string]string{}
	}
	m.changes[key] = value
}

// Forget implements engine.Memory.
func (m *LocalMemory) Forget() { m.forgets, m.changes = true, nil }

// Follow implements engine.Memory.
func (m *LocalMemory) Follow(starts []engine.Start) { m.Starts = append(m.Starts, starts...) }

// Wake implements engine.Memory.
func (m *LocalMemory) Wake(at time.Time, gone bool) { m.At, m.Gone = at, gone }

// Done implements engine.Memory.
func (m *LocalMemory) Done(_ context.Context, key string) (bool, error) { return m.done[key], nil }

// MarkDone implements engine.Memory. A killed process records nothing.
func (m *LocalMemory) MarkDone(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.done == nil {
		m.done = map[string]bool{}
	}
	m.done[key] = true
	return nil
}
