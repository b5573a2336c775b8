package queue

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// PollOnly opens no connection that listens, because a read that waits for the
// network stops the clock of testing/synctest. The queue looks every second for
// changes by other processes.
func PollOnly(q *Queue) *Queue {
	if db, ok := q.db.backend.(*postgresDB); ok {
		db.pollOnly = true
	}
	return q
}

// EmptyDSN tells the tests of this package how to get a PostgreSQL database.
func EmptyDSN(create func(t testing.TB) string) { emptyDSN = create }

// JumpClock makes the wall clock of this process jump to an offset, as a person or a
// time server does. The monotonic reading of times stays.
func JumpClock(seconds int64) { clockOffset.Store(seconds) }

var clockOffset atomic.Int64

// JumpingClock lets JumpClock have an effect.
func JumpingClock() {
	clock = func() time.Time {
		now := time.Now()
		// A time with a monotonic reading has its wall clock's seconds in bits 30 to 62
		// of its first word. No method of time.Time changes only those.
		words := (*[3]uint64)(unsafe.Pointer(&now))
		words[0] += uint64(clockOffset.Load()) << 30
		return now
	}
}
