package rest

import (
	"time"
)

const (
	OperatingWindow  = 10 * time.Minute
	operatingBasket  = time.Minute
	OperatingDefault = 480 * time.Second
)

// Others are applications that send requests from the same address as the
// client: the bucket is one for all of them.
// https://apidocs.bitrix24.com/limits.html
type Others struct {
	// Level is how full the bucket is when a client sends its first request.
	Level float64
	// Rate is how many requests a second they send from then on; so much less
	// flows off for the client. At more than the plan drains the bucket stays
	// as full as it can be.
	Rate float64
}

// Limits are a portal's limits.
type Limits struct {
	Capacity, drain float64 // of the bucket; 0 is no limit
	others          Others
	buckets         map[string]*bucket
	Highest         float64

	operating time.Duration // 0 is no limit
	ledgers   map[OperatingKey][]basket
}

// bucket leaks: each request adds 1, drain flows off each second.
type bucket struct {
	level float64
	at    time.Time
}

// OperatingKey is what execution time is counted for.
type OperatingKey struct{ Credential, Method string }

// basket holds the execution time of one minute.
type basket struct {
	first time.Time
	spent time.Duration
}

// NewLimits makes the limits of a plan: how much the bucket holds and how much of it
// drains each second. operating is the limit on execution time, 0 for none.
func NewLimits(capacity, drain float64, operating time.Duration, others Others) Limits {
	return Limits{
		Capacity: capacity, drain: drain, operating: operating, others: others,
		buckets: map[string]*bucket{}, ledgers: map[OperatingKey][]basket{},
	}
}

// QueryLimit is the refusal of a request that does not fit into the bucket.
var QueryLimit = Refusal("QUERY_LIMIT_EXCEEDED")

// Admit counts a request against the bucket of its source, unless it is full.
func (l *Limits) Admit(source string, now time.Time) bool {
	if l.Capacity == 0 {
		return true
	}
	b := l.buckets[source]
	if b == nil {
		b = &bucket{level: min(l.others.Level, l.Capacity), at: now}
		l.buckets[source] = b
	}
	b.level, b.at = l.levelAt(b, now), now
	if b.level+1 > l.Capacity {
		return false
	}
	b.level++
	l.Highest = max(l.Highest, b.level)
	return true
}

// levelAt is how full a bucket is by now.
func (l *Limits) levelAt(b *bucket, now time.Time) float64 {
	return min(l.Capacity, max(0, b.level+now.Sub(b.at).Seconds()*(l.others.Rate-l.drain)))
}

// Level is how full the fullest bucket is.
func (l *Limits) Level(now time.Time) float64 {
	level := 0.0
	for _, b := range l.buckets {
		level = max(level, l.levelAt(b, now))
	}
	return level
}

// sum drops the baskets that are too old and adds up the others.
func (l *Limits) sum(key OperatingKey, now time.Time) (time.Duration, []basket) {
	baskets := l.ledgers[key]
	for len(baskets) > 0 && now.Sub(baskets[0].first) >= OperatingWindow {
		baskets = baskets[1:]
	}
	l.ledgers[key] = baskets
	total := time.Duration(0)
	for _, b := range baskets {
		total += b.spent
	}
	return total, baskets
}

// Blocked reports whether a method is over its limit. The check comes before the
// command, so the one that crosses the limit still runs.
func (l *Limits) Blocked(key OperatingKey, now time.Time) bool {
	if l.operating == 0 {
		return false
	}
	total, _ := l.sum(key, now)
	return total >= l.operating
}

// Spend counts execution time and says the sum and when its oldest part ends.
func (l *Limits) Spend(key OperatingKey, now time.Time, cost time.Duration) (total time.Duration, resetAt time.Time) {
	if cost > 0 {
		_, baskets := l.sum(key, now)
		if n := len(baskets); n > 0 && now.Sub(baskets[n-1].first) < operatingBasket {
			baskets[n-1].spent += cost
		} else {
			baskets = append(baskets, basket{first: now, spent: cost})
		}
		l.ledgers[key] = baskets
	}
	total, baskets := l.sum(key, now)
	if len(baskets) == 0 {
		return 0, now.Add(OperatingWindow)
	}
	return total, baskets[0].first.Add(OperatingWindow)
}
