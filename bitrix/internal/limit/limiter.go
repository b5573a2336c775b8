package limit

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Bucket is our copy of the portal's leaky bucket: each request adds one, a
// fixed amount drains each second, and the portal refuses a request that finds
// the bucket full. Other programs fill the same bucket, and the portal does not
// show it. A refusal means that the bucket is full and that our share of the
// drain is smaller than assumed. A Bucket is safe for concurrent use.
// Source: https://apidocs.bitrix24.com/limits.html
type Bucket struct {
	capacity float64 // the highest level that we fill it to
	drain    float64 // per second; 0 means no limit

	mu       sync.Mutex
	level    float64
	at       time.Time // when level and share were last updated
	share    float64   // our part of the drain
	cutAt    time.Time // the last refusal
	sentAt   time.Time // the last request
	pause    time.Time // no request leaves before
	refused  int       // refusals in a row
	accepted int       // requests accepted since the last refusal
}

const (
	// unevenness is how many seconds earlier than others a request may arrive,
	// because the first ones have to connect. The bucket keeps free what drains
	// in this time, and at least one request.
	unevenness = 0.4
	// sharedPart is our share when the configuration says that other programs
	// use the portal too. Their uneven requests need the rest.
	sharedPart = 0.5
	// minShare is the least that busy programs leave us.
	minShare = 1.0 / 16
	// growth is how much of the drain we claim back each second without a
	// refusal, from half to all in five minutes. In the first minutes after a
	// refusal it is carefulGrowth. If the other programs keep their rate, the
	// next refusal then comes after about 200 requests.
	growth        = 0.5 / 300
	carefulGrowth = growth / 50
	carefulFor    = 3 * time.Minute
	// gatherWait is the time in which a standard portal's bucket drains one
	// request.
	gatherWait = 500 * time.Millisecond
	// firstPause is the pause after a first refusal. It doubles up to maxPause.
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	// kept is how many requests of a burst those that can wait leave to the others: a
	// single event reads and writes.
	kept = 2
	// provenBy is how many requests leave one after the other while the level of
	// the bucket is unknown. If other programs have filled it, the portal refuses
	// one of them and not several at once.
	provenBy = 4
	// forgetting is the time without a request after which the level is unknown.
	forgetting = 5 * time.Minute
)

// NewBucket returns an empty bucket, or a full one if other programs share it.
// capacity is the portal's burst, drain its requests per second; a drain of 0
// means no limit.
func NewBucket(capacity, drain float64, shared bool) *Bucket {
	b := &Bucket{capacity: capacity - max(1, unevenness*drain), drain: drain, share: 1}
	if shared && drain > 0 {
		b.share, b.at, b.cutAt = sharedPart, time.Now(), time.Now()
		b.level = b.capacity + 1 // other programs send unevenly, too
	}
	return b
}

// Wait returns how long to wait until there is room for a request. A request
// that can wait leaves two of a burst to the others.
func (b *Bucket) Wait(now time.Time, canWait bool) time.Duration {
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
	if canWait {
		capacity = max(1, capacity-kept)
	}
	over := b.level + 1 - capacity
	if over <= 0 {
		return 0
	}
	return max(time.Millisecond, time.Duration(over/(b.drain*b.share)*float64(time.Second)))
}

// GatherWait returns how long a request that is not full may wait for more calls
// while other requests are in progress: as long as a standard portal's bucket
// needs to drain it, and half of that while more than half of a burst is left.
func (b *Bucket) GatherWait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return gatherWait / 2
	}
	b.pass(now)
	return time.Duration(max(0.5, b.level/b.capacity) * float64(gatherWait))
}

// HasBurst reports whether more than half of a burst is left.
func (b *Bucket) HasBurst(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass(now)
	return b.drain == 0 || b.level < b.capacity/2
}

// Rate returns how many requests drain each second in the long run, as far as is known: our part of
// the drain. It is 0 without a limit.
func (b *Bucket) Rate(now time.Time) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass(now)
	return b.drain * b.share
}

// Take notes that a request leaves.
func (b *Bucket) Take(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass(now)
	b.level++
	b.sentAt = now
}

// pass drains the bucket for the time since the last update.
func (b *Bucket) pass(now time.Time) {
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

// Refuse notes that the portal refused a request, and returns how long no
// request leaves. Refusals of requests that were in progress together count
// once.
func (b *Bucket) Refuse(now time.Time) time.Duration {
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
	b.accepted = 0
	b.pause = now.Add(pause)
	return pause
}

// cut reduces our share after a refusal: by half if we took the whole bucket for
// ours, by a little if we had claimed too much of it.
func (b *Bucket) cut(now time.Time) {
	b.cutAt = now
	if b.share > 0.9 {
		b.share /= 2
		return
	}
	b.share = max(minShare, 0.9*b.share)
}

// Accept notes that the portal accepted a request.
func (b *Bucket) Accept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = 0
	b.accepted++
}

// Width returns how many requests may be in progress at once: one until the
// portal has accepted some, then one more for each that it accepts.
func (b *Bucket) Width(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain > 0 && now.Sub(b.sentAt) > forgetting {
		b.accepted = 0
	}
	return max(1, b.accepted+2-provenBy)
}

// SpareSince returns how long ago the bucket would have been full to hold what it
// holds now. It is 0 for a full bucket and for a portal without a limit.
func (b *Bucket) SpareSince(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return 0
	}
	b.pass(now)
	return time.Duration(max(0, b.capacity-b.level) / b.drain * float64(time.Second))
}

// UsedUntil raises the level to what is left of a bucket that was full at the
// given time.
func (b *Bucket) UsedUntil(at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return
	}
	b.pass(now)
	b.level = max(b.level, b.capacity-max(0, now.Sub(at).Seconds())*b.drain*b.share)
}
