package bitrix

import (
	"context"
	"slices"
	"time"
)

// maxBatch is how many commands a batch request may hold.
// Source: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
const maxBatch = 50

// unit is what one caller wants done together: calls that fit one request.
type unit struct {
	ctx     context.Context
	calls   []Call
	left    []int // indexes of the calls without an answer
	answers []Answer
	repeats int // of reads whose outcome was unknown, and of unsent requests
	done    chan struct{}
}

const (
	// maxRepeats bounds how often the client itself repeats what failed on the
	// network. A run has its own attempts besides.
	maxRepeats = 2
	// repeatPause is the wait before the first repeat.
	repeatPause = 300 * time.Millisecond
)

// enqueue puts a unit at the end of the line and sees that somebody serves it.
func (c *Client) enqueue(units ...*unit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, units...)
	c.startDispatching()
}

// again puts units back at the head of the line.
func (c *Client) again(units []*unit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.Concat(units, c.queue)
	c.startDispatching()
}

// startDispatching wants c.mu held.
func (c *Client) startDispatching() {
	if c.dispatching || len(c.queue) == 0 || c.life.Err() != nil {
		return
	}
	c.dispatching = true
	c.work.Go(c.dispatch)
}

// dispatch sends what waits, one request whenever there is a free slot and room
// in the bucket. What a request carries is chosen last, when it can go: the
// longer the line has to wait, the fuller the batches are.
func (c *Client) dispatch() {
	for {
		select {
		case c.slots <- struct{}{}:
		case <-c.life.Done():
			c.stopDispatching()
			return
		}
		if c.idle() {
			<-c.slots
			return
		}
		if err := c.bucket.wait(c.life); err != nil {
			<-c.slots
			c.stopDispatching()
			return
		}
		pack := c.pack()
		if len(pack) == 0 {
			c.bucket.giveBack()
			<-c.slots
			continue
		}
		c.work.Go(func() {
			defer func() { <-c.slots }()
			c.send(pack)
		})
	}
}

// idle ends the dispatching when nothing waits.
func (c *Client) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatching = len(c.queue) > 0
	return !c.dispatching
}

func (c *Client) stopDispatching() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dispatching = false
}

// pack takes units from the line that fit one request together. A unit that
// does not fit leaves room to smaller ones behind it, and is the first of the
// next request. Units whose caller has gone are dropped.
func (c *Client) pack() []*unit {
	c.mu.Lock()
	defer c.mu.Unlock()
	var taken, rest []*unit
	size := 0
	for _, u := range c.queue {
		switch {
		case u.ctx.Err() != nil:
		case size+len(u.left) <= maxBatch:
			taken = append(taken, u)
			size += len(u.left)
		default:
			rest = append(rest, u)
		}
	}
	c.queue = rest
	return taken
}

// command is one call on its way.
type command struct {
	unit  *unit
	index int // of the call in the unit
}

func (c command) call() Call { return c.unit.calls[c.index] }

// send makes one request of units and settles each call by its own outcome.
func (c *Client) send(units []*unit) {
	var commands []command
	for _, u := range units {
		for _, i := range u.left {
			commands = append(commands, command{u, i})
		}
	}
	c.requests.Add(1)
	c.commands.Add(int64(len(commands)))
	for _, cmd := range commands {
		if cmd.call().Write {
			c.writes.Add(1)
		}
	}
	var answers []answer
	if len(commands) == 1 {
		answers = []answer{c.single(commands[0].call())}
	} else {
		answers = c.batch(commands)
	}
	c.settle(units, commands, answers)
}

// answer is what came of a command, before it is decided whether to repeat it.
type answer struct {
	Answer
	err *Error
}

// settle gives answers to their callers and repeats what may be repeated: what
// the rate limit refused, what was never sent, and reads of unknown outcome.
func (c *Client) settle(units []*unit, commands []command, answers []answer) {
	var pause time.Duration
	refused := false
	for i, cmd := range commands {
		a, call := answers[i], cmd.call()
		if a.err != nil {
			a.err.Method = call.Method
			switch a.err.code() {
			case CodeQueryLimit:
				refused = true
				continue
			case CodeOperationLimit:
				a.err.NotBefore = c.operating.refuse(call.Method)
			case CodeOverload:
				a.err.NotBefore = c.operating.block()
				c.log.Error("the portal has blocked REST because of overload", "method", call.Method)
			}
			if c.mayRepeat(cmd.unit, call, a.err) {
				pause = repeatPause << cmd.unit.repeats
				continue
			}
			a.Err = a.err
		}
		cmd.unit.settle(cmd.index, a.Answer)
	}
	if refused {
		c.refused.Add(1)
		c.bucket.refuse(time.Now())
	} else {
		c.bucket.accept()
	}
	c.finish(units, pause)
}

// mayRepeat reports whether the client itself sends a call once more.
func (c *Client) mayRepeat(u *unit, call Call, err *Error) bool {
	if u.repeats >= maxRepeats {
		return false
	}
	if err.code() == CodeNetwork && err.Outcome == NotExecuted {
		return true
	}
	return err.Outcome == Unknown && !call.Write
}

// finish tells the callers whose calls are all answered, and lines the others
// up again after a pause.
func (c *Client) finish(units []*unit, pause time.Duration) {
	var open []*unit
	for _, u := range units {
		if len(u.left) == 0 {
			close(u.done)
			continue
		}
		if pause > 0 {
			u.repeats++
		}
		open = append(open, u)
	}
	if len(open) == 0 {
		return
	}
	if pause == 0 {
		c.again(open)
		return
	}
	c.work.Go(func() {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
			c.again(open)
		case <-c.life.Done():
		}
	})
}

// settle stores the answer of one call.
func (u *unit) settle(index int, a Answer) {
	u.answers[index] = a
	u.left = slices.DeleteFunc(u.left, func(i int) bool { return i == index })
}
