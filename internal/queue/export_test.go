package queue

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// PollOnly opens no connection that listens, because a read that waits for the
// network stops the clock of testing/synctest. The queue looks every second for
// changes by other processes.
func PollOnly(q *Queue) *Queue {
	if q.db.Leases() {
		q.db.Backend = pollOnly{q.db.Backend}
	}
	return q
}

type pollOnly struct{ database.Backend }

func (pollOnly) Watch(ctx context.Context, _ *slog.Logger, received func(news string)) error {
	for {
		received("")
		if wakeup.Sleep(ctx, time.Second) != nil {
			return nil
		}
	}
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
