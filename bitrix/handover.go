package bitrix

import "time"

// UsedUntil tells the client that somebody else, such as the process that worked
// the portal before this one, may have used its rate until a moment. The client
// then takes the portal's bucket for as full at that moment as it would have
// filled it itself.
func (c *Client) UsedUntil(at time.Time) { c.bucket.used(at, time.Now()) }

// Rested is how long ago the portal's bucket would have been full to hold what it
// holds now, as far as this client knows: what UsedUntil of the next one is to be
// told. 0 when it is full, or the portal has no limit.
func (c *Client) Rested() time.Duration { return c.bucket.rested(time.Now()) }

func (b *bucket) rested(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return 0
	}
	b.pass(now)
	return time.Duration(max(0, b.capacity-b.level) / b.drain * float64(time.Second))
}

// used raises the level to what is left of a bucket that was full at a moment.
func (b *bucket) used(at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain == 0 {
		return
	}
	b.pass(now)
	b.level = max(b.level, b.capacity-max(0, now.Sub(at).Seconds())*b.drain*b.share)
}
