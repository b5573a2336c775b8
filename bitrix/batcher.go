package bitrix

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

const (
	// maxRepeats bounds how often the client itself repeats what failed on the
	// network. A run has its own attempts besides.
	maxRepeats = 2
	// repeatPause is the wait before the first repeat; it grows fourfold.
	repeatPause = 300 * time.Millisecond
	// maxRefusals bounds how often the rate limit may refuse one call. With the
	// bucket's pauses this takes some minutes.
	maxRefusals = 10
	// refusedFor is when a caller whose call was refused so often comes back.
	refusedFor = 30 * time.Second
	// overloadPause is how long a portal that blocked REST is left alone.
	overloadPause = 10 * time.Minute
)

// serve is one of the InFlight senders: it takes what may travel together,
// sends it, hands out the answers, and begins anew.
func (c *Client) serve() {
	for {
		commands := c.next()
		if commands == nil {
			return
		}
		replies := c.send(commands)
		c.settle(commands, replies)
	}
}

// next waits until a request may be sent and something is there to send, and
// only then chooses what: the longer the line has to wait, the fuller the
// batches are. One sender at a time waits here. It returns nil when the client
// is closed.
func (c *Client) next() []*command {
	select {
	case c.turn <- struct{}{}:
	case <-c.life.Done():
		return nil
	}
	defer func() { <-c.turn }()
	for c.life.Err() == nil {
		now := time.Now()
		roomy := c.bucket.HasBurst(now)
		wait := c.line.ready(now)
		if wait == 0 {
			wait = c.bucket.Wait(now, c.line.promote(now))
		}
		if wait == 0 {
			wait = c.line.company(now, c.bucket.Width(now), c.bucket.GatherWait(now), roomy)
		}
		if wait != 0 {
			c.sleep(wait)
			continue
		}
		runtime.Gosched() // callers that are about to ask get their chance at no cost
		room := maxBatch
		if c.operating.Blocked("batch", now) || roomy && c.line.probes() {
			room = 1
		}
		commands := c.line.take(now, room, func(cmd *command) (time.Time, *Error) { return c.admit(cmd, now) })
		if len(commands) > 0 {
			c.bucket.Take(now)
			return commands
		}
	}
	return nil
}

// sleep waits for d, for ever when it is negative, or until something changes.
func (c *Client) sleep(d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-c.line.wake:
	case <-c.life.Done():
	}
}

// send makes one request of commands.
func (c *Client) send(commands []*command) []reply {
	c.requests.Add(1)
	c.commands.Add(int64(len(commands)))
	for _, cmd := range commands {
		if cmd.call.Write {
			c.writes.Add(1)
		}
	}
	if len(commands) == 1 {
		return []reply{c.single(commands[0])}
	}
	c.batches.Add(1)
	return c.batch(commands)
}

// reply is what came of a command: an answer, or an error to be judged.
type reply struct {
	Answer
	err *Error
	// whole says that the error is that of the batch as a whole.
	whole bool
}

// settle gives answers to their callers and repeats what may be repeated: what
// the rate limit refused, what was never sent, and reads of unknown outcome.
func (c *Client) settle(commands []*command, replies []reply) {
	now := time.Now()
	jitter := rand.Float64() // one for all: what was lost together is repeated together
	results := make([]landed, len(commands))
	refused := false
	for i, cmd := range commands {
		r := &replies[i]
		results[i] = landed{cmd: cmd}
		r.Batch = len(commands)
		if r.err != nil {
			refused = refused || r.err.code() == CodeQueryLimit
			if c.again(cmd, r, now, jitter) {
				c.repeated.Add(1)
				continue
			}
			own := r.err.of(cmd.call.Method)
			if !cmd.call.Write {
				own.Settled = time.Time{} // a look is repeated without harm
			}
			r.Err = own
		}
		results[i].answer = &r.Answer
	}
	if refused {
		c.refused.Add(1)
		pause := c.bucket.Refuse(now)
		c.log.Warn("the portal refused a request for the rate limit", "pause", pause)
	} else {
		c.bucket.Accept()
	}
	c.line.settle(results)
}

// again decides whether the client itself sends a failed command once more, and
// when. If not, it completes the error.
func (c *Client) again(cmd *command, r *reply, now time.Time, jitter float64) bool {
	switch r.err.code() {
	case CodeQueryLimit:
		cmd.refusals++
		if cmd.refusals <= maxRefusals {
			return true
		}
		r.err = r.err.of(cmd.call.Method)
		r.err.NotBefore = now.Add(refusedFor)
		return false
	case CodeOperationLimit:
		if r.whole {
			// An older core counts the batch itself: go on one by one.
			c.operating.Refuse("batch", now)
			return true
		}
		r.err = r.err.of(cmd.call.Method)
		r.err.NotBefore = c.operating.Refuse(cmd.call.Method, now)
		c.log.Warn("a method has used up its time", "method", cmd.call.Method, "until", r.err.NotBefore)
		return false
	case CodeOverload:
		c.overload(r, now)
		return false
	}
	unsent := r.err.code() == CodeNetwork && r.err.Outcome == NotExecuted
	lost := r.err.Outcome == Unknown && !cmd.call.Write
	if !unsent && !lost || cmd.repeats >= maxRepeats || c.life.Err() != nil {
		return false
	}
	pause := float64(repeatPause<<(2*cmd.repeats)) * (1 + jitter)
	cmd.repeats++
	cmd.notBefore = now.Add(time.Duration(pause))
	return true
}

// overload stops the client for a while: the portal has been blocked by hand,
// and whoever goes on calling stays blocked.
func (c *Client) overload(r *reply, now time.Time) {
	r.err = r.err.of("")
	r.err.NotBefore = now.Add(overloadPause)
	if r.err.Detail == "" {
		r.err.Detail = "REST is blocked for this portal because of overload; only its support can lift that"
	}
	if c.line.stop(r.err) {
		c.log.Error("the portal has blocked REST because of overload", "until", r.err.NotBefore)
	}
}

// admit lets a command go, or says when it may, or why it fails.
func (c *Client) admit(cmd *command, now time.Time) (time.Time, *Error) {
	a := c.operating.Admit(cmd.call.Method, now)
	if !a.TooLong {
		return a.NotBefore, nil
	}
	return time.Time{}, &Error{
		Code: CodeOperationLimit, Detail: fmt.Sprintf("the method has used %s of working time in ten minutes", a.Used.Round(time.Second)),
		Outcome: NotExecuted, NotBefore: a.NotBefore,
	}
}
