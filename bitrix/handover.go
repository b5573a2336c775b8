package bitrix

import "time"

// UsedUntil tells the client that somebody else, such as the process that worked
// the portal before this one, may have used its rate until a moment. The client
// then takes the portal's bucket for as full at that moment as it would have
// filled it itself.
func (c *Client) UsedUntil(at time.Time) { c.bucket.used(at, time.Now()) }

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
