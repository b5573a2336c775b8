package ingest

import (
	"sync"
	"time"
)

// A quota bounds how many log lines of one kind strangers can cause. The zero
// value allows ten lines in ten seconds.
type quota struct {
	mu      sync.Mutex
	since   time.Time
	used    int
	dropped int // lines since the last one that was allowed
}

const (
	quotaLines = 10
	quotaTime  = 10 * time.Second
)

// take reports whether a line may be written, and how many lines were dropped
// before it.
func (q *quota) take() (ok bool, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.since) >= quotaTime {
		q.since, q.used = now, 0
	}
	if q.used >= quotaLines {
		q.dropped++
		return false, 0
	}
	q.used++
	dropped, q.dropped = q.dropped, 0
	return true, dropped
}
