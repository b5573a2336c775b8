package bitrix

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// metadata remembers what the portal says of its fields. Of several callers
// that want the same thing at once, one asks.
type metadata struct {
	life time.Duration

	mu      sync.Mutex
	entries map[string]*metaEntry
}

// maxMetadata bounds how many descriptions are kept.
const maxMetadata = 1000

type metaEntry struct {
	ready chan struct{} // closed when the rest is set
	value any
	err   error
	at    time.Time
}

func newMetadata(life time.Duration) *metadata {
	return &metadata{life: life, entries: map[string]*metaEntry{}}
}

// get returns what load gave not longer than the metadata's life ago. A failure
// is not remembered, and when the caller who asked gives up, another one asks.
func (m *metadata) get(ctx context.Context, key string, load func() (any, error)) (any, error) {
	for {
		e, mine := m.claim(key)
		if mine {
			e.value, e.err = load()
			m.settle(key, e)
			return e.value, e.err
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, gaveUp(ctx.Err(), NotExecuted)
		}
		if e.err != nil && ctx.Err() == nil && isGivenUp(e.err) {
			continue
		}
		return e.value, e.err
	}
}

// claim returns the entry of a key, and whether the caller is to fill it.
func (m *metadata) claim(key string) (e *metaEntry, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e = m.entries[key]; e != nil && !m.stale(e) {
		return e, false
	}
	if len(m.entries) >= maxMetadata {
		maps.DeleteFunc(m.entries, func(_ string, e *metaEntry) bool { return m.stale(e) })
	}
	if len(m.entries) >= maxMetadata {
		clear(m.entries)
	}
	e = &metaEntry{ready: make(chan struct{})}
	m.entries[key] = e
	return e, true
}

// settle hands a filled entry to those who wait for it.
func (m *metadata) settle(key string, e *metaEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.at = time.Now()
	if e.err != nil && m.entries[key] == e {
		delete(m.entries, key)
	}
	close(e.ready)
}

// stale reports whether an entry is too old. One that is being filled is not.
func (m *metadata) stale(e *metaEntry) bool {
	select {
	case <-e.ready:
		return time.Since(e.at) > m.life
	default:
		return false
	}
}

func isGivenUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
