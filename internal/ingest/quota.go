package ingest

import (
	"sync"
	"time"
)

// A quota bounds log lines of one kind that strangers can cause. The zero
// value lets ten pass in ten seconds.
type quota struct {
	mu    sync.Mutex
	since time.Time
	used  int
	kept  int // back since the last line that passed
}

const (
	quotaLines = 10
	quotaTime  = 10 * time.Second
)

// take tells whether a line may be written, and how many were not since the
// last one that was.
func (q *quota) take() (ok bool, unsaid int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.since) >= quotaTime {
		q.since, q.used = now, 0
	}
	if q.used >= quotaLines {
		q.kept++
		return false, 0
	}
	q.used++
	unsaid, q.kept = q.kept, 0
	return true, unsaid
}
