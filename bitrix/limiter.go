package bitrix

import (
	"math/rand/v2"
	"sync"
	"time"
)

// bucket is our copy of the portal's leaky bucket: each request adds one, a
// fixed amount drains each second, and a request that finds it full is refused.
// Other programs fill the same bucket unseen. A refusal tells that it is full,
// and that our part of the drain is less than we thought.
// Source: https://apidocs.bitrix24.com/limits.html
type bucket struct {
	capacity float64 // as far as it may be filled
	drain    float64 // a second; 0 is no limit

	mu      sync.Mutex
	level   float64
	at      time.Time // when level and share were right
	share   float64   // our part of the drain
	cutAt   time.Time // when we were refused last
	sentAt  time.Time // when a request was sent last
	pause   time.Time // nothing is sent before
	refused int       // in a row
	trust   int       // requests taken since the last refusal
}

const (
	// unevenness is how much earlier than others a request may arrive: the first
	// ones have to connect. What drains in this time is kept free, and at least
	// one request.
	unevenness = 0.4
	// sharedPart is our share when it is known that there are neighbours, and
	// nothing of what they need.
	sharedPart = 0.5
	// minShare is what a busy neighbour leaves us at least.
	minShare = 1.0 / 16
	// growth is how much of the drain we claim back each second without a
	// refusal, from half to all in five minutes. For the first minutes after a
	// refusal it is carefulGrowth: while the neighbours take what they took, the
	// next refusal then comes after some 200 requests.
	growth        = 0.5 / 300
	carefulGrowth = growth / 50
	carefulFor    = 3 * time.Minute
	// patience is what a request costs of a standard portal's rate.
	patience = 500 * time.Millisecond
	// firstPause is the wait after a first refusal; it doubles up to maxPause.
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	// provenBy is how many requests are sent one after the other when nothing is
	// known of the bucket: when others have filled it, one of them is refused,
	// and not several at once.
	provenBy = 4
	// forgetting is after what time without a request nothing is known.
	forgetting = 5 * time.Minute
)

// newBucket returns a bucket that is empty and ours alone or, if it is shared,
// one that neighbours have filled.
func newBucket(capacity, drain float64, shared bool) *bucket {
	b := &bucket{capacity: capacity - max(1, unevenness*drain), drain: drain, share: 1}
	if shared && drain > 0 {
		b.share, b.at, b.cutAt = sharedPart, time.Now(), time.Now()
		b.level = b.capacity + 1 // neighbours are uneven, too
	}
	return b
}

// wait returns how long to wait until there is room for a request. One that can
// wait leaves half of a burst to others.
func (b *bucket) wait(now time.Time, later bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.pause.Sub(now); d > 0 {
		return d
	}
	if b.drain == 0 {
		return 0
	}
	b.pass(now)
	capacity := b.capacity
	if later {
		capacity /= 2
	}
	over := b.level + 1 - capacity
	if over <= 0 {
		return 0
	}
	return max(time.Millisecond, time.Duration(over/(b.drain*b.share)*float64(time.Second)))
}

// patience is how long a request that is not full may wait for company while
// others are under way: as long as one costs of a standard portal's rate, and
// half of that while there is more than half of a burst left.
func (b *bucket) patience(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return patience / 2
	}
	b.pass(now)
	return time.Duration(max(0.5, b.level/b.capacity) * float64(patience))
}

// roomy reports whether there is more than half of a burst left.
func (b *bucket) roomy(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass(now)
	return b.drain == 0 || b.level < b.capacity/2
}

// take notes that a request is sent.
func (b *bucket) take(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass(now)
	b.level++
	b.sentAt = now
}

// pass lets the time since the last look drain the bucket.
func (b *bucket) pass(now time.Time) {
	if !b.at.IsZero() {
		seconds := max(0, now.Sub(b.at).Seconds())
		b.level = max(0, b.level-seconds*b.drain*b.share)
		rate := growth
		if now.Sub(b.cutAt) < carefulFor {
			rate = carefulGrowth
		}
		b.share = min(1, b.share+seconds*rate)
	}
	b.at = now
}

// refuse notes that the portal refused a request and returns for how long
// nothing is sent. Requests that were under way together count once.
func (b *bucket) refuse(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.pause.Sub(now); d > 0 {
		return d
	}
	b.pass(now)
	b.level = b.capacity + 1
	b.cut(now)
	pause := min(maxPause, firstPause<<min(b.refused, 8))
	pause += rand.N(pause)
	b.refused++
	b.trust = 0
	b.pause = now.Add(pause)
	return pause
}

// cut makes our share smaller after a refusal: by half when we held that the
// bucket is ours, by a little when we had claimed too much of it.
func (b *bucket) cut(now time.Time) {
	b.cutAt = now
	if b.share > 0.9 {
		b.share /= 2
		return
	}
	b.share = max(minShare, 0.9*b.share)
}

// accept notes that the portal took a request.
func (b *bucket) accept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = 0
	b.trust++
}

// width is how many requests may be under way at once. One, until some were
// taken; then it grows with each that is.
func (b *bucket) width(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain > 0 && now.Sub(b.sentAt) > forgetting {
		b.trust = 0
	}
	return max(1, b.trust+2-provenBy)
}
