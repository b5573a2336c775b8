package bitrix

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// bucket is our copy of the portal's leaky bucket: each request adds one, a
// fixed amount drains each second, and a request that finds it full is refused.
// Other applications fill the same bucket, so a refusal teaches that it is
// fuller than we knew.
// Source: https://apidocs.bitrix24.com/limits.html
type bucket struct {
	capacity, perSecond float64 // capacity 0: no limit

	mu      sync.Mutex
	level   float64
	at      time.Time // when level was right
	pause   time.Time // nothing is sent before
	refused int       // in a row
}

// margin is kept free: requests that leave evenly may arrive in a bunch.
const margin = 1

// refusalPause is the wait after a first refusal; it doubles up to 2^4 times.
const refusalPause = 500 * time.Millisecond

func newBucket(capacity, perSecond float64) *bucket {
	return &bucket{capacity: capacity, perSecond: perSecond}
}

// wait takes one unit of the bucket as soon as there is room.
func (b *bucket) wait(ctx context.Context) error {
	for {
		d := b.take(time.Now())
		if d <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// take returns 0 when a unit was taken, else how long to wait before asking
// again.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.pause.Sub(now); d > 0 {
		return d
	}
	if b.capacity == 0 {
		return 0
	}
	b.drain(now)
	if over := b.level + 1 + margin - b.capacity; over > 0 {
		return time.Duration(over / b.perSecond * float64(time.Second))
	}
	b.level++
	return 0
}

// giveBack returns a unit that was taken and not used.
func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.level = max(0, b.level-1)
}

func (b *bucket) drain(now time.Time) {
	if !b.at.IsZero() {
		b.level = max(0, b.level-now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
}

// refuse notes that the portal refused a request: its bucket is full.
func (b *bucket) refuse(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain(now)
	b.level = b.capacity
	wait := refusalPause << min(b.refused, 4)
	b.refused++
	b.pause = later(b.pause, now.Add(wait+rand.N(wait)))
}

// accept notes that the portal took a request.
func (b *bucket) accept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = 0
}

// stop sends nothing before until.
func (b *bucket) stop(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause = later(b.pause, until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
