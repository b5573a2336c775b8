package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/limit"
)

const (
	// maxRepeats is how often the batcher repeats a command that failed on the
	// network. The caller's own attempts come on top.
	maxRepeats = 2
	// repeatPause is the pause before the first repeat; it grows fourfold.
	repeatPause = 300 * time.Millisecond
	// maxRefusals is how often the rate limit may refuse one command. With the
	// bucket's pauses this takes some minutes.
	maxRefusals = 10
	// refusedFor is when a caller whose command was refused so often comes back.
	refusedFor = 30 * time.Second
	// blockedFor is how long no request goes to a portal that has blocked REST.
	blockedFor = 10 * time.Minute
)

// Options are the parts of a Batcher.
type Options struct {
	// Send makes one request of several commands, or of one, and returns a reply
	// for each. ctx ends when the batcher is closed.
	Send func(ctx context.Context, commands []Command) []Reply
	// Bucket and Operating are the portal's limits.
	Bucket    *limit.Bucket
	Operating *limit.Operating
	// MaxWaiting is how many commands may wait. Commands above it fail at once.
	MaxWaiting int
	// InFlight is how many requests may be in progress at once.
	InFlight int
	// Log gets what an operator should know.
	Log *slog.Logger
}

// Reply is the result of one command.
type Reply struct {
	// Result is the method's result as the portal sent it.
	Result json.RawMessage
	// Total and Next are those of a listing, -1 when absent.
	Total, Next int
	// Batch is how many commands were in the request, 0 when there was none.
	Batch int
	// Err is why there is no result: an error of Send, or a *QueueError.
	Err error
	// Fault says how the batcher treats Err.
	Fault Fault
	// NotBefore is when the portal will take the command again; zero when
	// unknown.
	NotBefore time.Time
}

// NoReply is a reply with only an error.
func NoReply(err error) Reply { return Reply{Total: -1, Next: -1, Err: err} }

// Fault is how the batcher treats a failed command.
type Fault uint8

// The faults.
const (
	Final         Fault = iota // the caller gets the error
	RateLimited                // the rate limit refused it; it is sent again after a pause
	MethodLimited              // its method has used up its working time
	BatchLimited               // the method batch has; commands then go one by one
	Blocked                    // the portal has blocked REST; every command fails for a while
	Unsent                     // it did not reach the portal; it is sent again
	Lost                       // its outcome is unknown; a read is sent again
)

// QueueError is why a command has no reply of the portal.
type QueueError struct {
	Reason Reason
	Detail string
	// Sent says that the command was sent: it may still run.
	Sent bool
	// Cause is the error of the caller's context, for GaveUp.
	Cause error
}

// Reason is the kind of a QueueError.
type Reason uint8

// The reasons.
const (
	NotSendable Reason = iota // its query cannot be sent
	Stale                     // its deadline is over
	QueueFull                 // too many commands wait
	HeldBack                  // its method has used up its working time
	GaveUp                    // the caller's context ended
)

// Error says why the command has no reply.
func (e *QueueError) Error() string { return e.Detail }

func gaveUp(cause error, sent bool) Reply {
	return NoReply(&QueueError{Reason: GaveUp, Detail: "the caller gave up: " + cause.Error(), Sent: sent, Cause: cause})
}

// Counters count the work of a batcher.
type Counters struct {
	Requests, Batches, Commands, Writes, Refused, Repeated, Waiting int64

	HasBurst bool // more than half of a burst is left
}

// Batcher sends the commands of many callers in as few requests as possible. It
// is safe for concurrent use. Close it.
type Batcher struct {
	opt   Options
	queue *requestQueue
	turn  chan struct{} // held by the sender that chooses the next commands
	life  context.Context
	work  sync.WaitGroup

	requests, batches, commands, writes, refused, repeated atomic.Int64
}

// New starts a batcher that sends until ctx ends.
func New(ctx context.Context, opt Options) *Batcher {
	b := &Batcher{opt: opt, queue: newRequestQueue(opt.MaxWaiting), turn: make(chan struct{}, 1), life: ctx}
	for range opt.InFlight {
		b.work.Go(b.serve)
	}
	return b
}

// Unblock ends the time in which every command fails because the portal has
// blocked REST.
func (b *Batcher) Unblock() { b.queue.open() }

// Close gives every waiting command, and every later one, the error err, and
// waits for the requests in progress. The context of New must have ended.
func (b *Batcher) Close(err error) {
	b.queue.stop(NoReply(err), time.Time{})
	b.work.Wait()
}

// Stats returns the counters.
func (b *Batcher) Stats() Counters {
	return Counters{
		Requests: b.requests.Load(), Batches: b.batches.Load(), Commands: b.commands.Load(), Writes: b.writes.Load(),
		Refused: b.refused.Load(), Repeated: b.repeated.Load(), Waiting: int64(b.queue.length()), HasBurst: b.opt.Bucket.HasBurst(time.Now()),
	}
}

// Do sends commands and returns their replies in the same order. When ctx ends
// first, the commands without a reply fail with the reason GaveUp.
func (b *Batcher) Do(ctx context.Context, commands []Command) []Reply {
	g := newGroup(commands)
	if err := ctx.Err(); err != nil {
		g.fail(gaveUp(err, false))
	} else {
		b.queue.add(g)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		b.queue.leave(g, ctx.Err())
	}
	return g.replies
}

// serve is one of the senders: it takes commands that may travel together, sends
// them and delivers the replies.
func (b *Batcher) serve() {
	for {
		taken := b.next()
		if taken == nil {
			return
		}
		b.process(taken, b.send(taken))
	}
}

// next waits until a request may be sent and a command waits, and only then
// chooses the commands: the longer the wait, the fuller the request. One sender
// at a time waits here. It returns nil when the batcher is closed.
func (b *Batcher) next() []*pending {
	select {
	case b.turn <- struct{}{}:
	case <-b.life.Done():
		return nil
	}
	defer func() { <-b.turn }()
	bucket := b.opt.Bucket
	for b.life.Err() == nil {
		now := time.Now()
		hasBurst := bucket.HasBurst(now)
		wait := b.queue.ready(now)
		if wait == 0 {
			wait = bucket.Wait(now, b.queue.promote(now))
		}
		if wait == 0 {
			wait = b.queue.gatherWait(now, bucket.Width(now), bucket.GatherWait(now), hasBurst)
		}
		if wait != 0 {
			b.sleep(wait)
			continue
		}
		runtime.Gosched() // callers that are about to call get their chance at no cost
		room := maxBatch
		if b.opt.Operating.Blocked("batch", now) || hasBurst && b.queue.urgent() {
			room = 1
		}
		taken := b.queue.take(now, room, func(p *pending) (time.Time, *Reply) { return b.admit(p.Method, now) })
		if len(taken) > 0 {
			bucket.Take(now)
			return taken
		}
	}
	return nil
}

// admit lets a command of a method go, or says when it may, or why it fails.
func (b *Batcher) admit(method string, now time.Time) (time.Time, *Reply) {
	a := b.opt.Operating.Admit(method, now)
	if !a.TooLong {
		return a.NotBefore, nil
	}
	r := NoReply(&QueueError{Reason: HeldBack, Detail: fmt.Sprintf("the method has used %s of working time in ten minutes", a.Used.Round(time.Second))})
	r.NotBefore = a.NotBefore
	return time.Time{}, &r
}

// sleep waits for d, without an end when d is negative, or until something
// changes.
func (b *Batcher) sleep(d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-b.queue.wake:
	case <-b.life.Done():
	}
}

// send makes one request.
func (b *Batcher) send(taken []*pending) []Reply {
	commands, places := distinct(taken)
	b.requests.Add(1)
	b.commands.Add(int64(len(commands)))
	if len(commands) > 1 {
		b.batches.Add(1)
	}
	for _, c := range commands {
		if c.Write {
			b.writes.Add(1)
		}
	}
	got := b.opt.Send(b.life, commands)
	replies := make([]Reply, len(taken))
	for i, place := range places {
		replies[i] = got[place]
		replies[i].Batch = len(commands)
	}
	return replies
}

// distinct returns the commands of a request, and for each of taken the place of its
// command. Of shared ones with one query the last is sent.
func distinct(taken []*pending) (commands []Command, places []int) {
	last := map[string]int{}
	for i, p := range taken {
		if p.shares() {
			last[p.Query] = i
		}
	}
	places = make([]int, len(taken))
	for i, p := range taken {
		if !p.shares() || last[p.Query] == i {
			places[i] = len(commands)
			commands = append(commands, p.Command)
		}
	}
	for i, p := range taken {
		if p.shares() {
			places[i] = places[last[p.Query]]
		}
	}
	return commands, places
}

// process delivers the replies of a request and repeats what may be repeated:
// what the rate limit refused, what did not reach the portal, and reads of
// unknown outcome.
func (b *Batcher) process(taken []*pending, replies []Reply) {
	now := time.Now()
	jitter := rand.Float64() // one for all: commands that were lost together are repeated together
	results := make([]result, len(taken))
	refused := false
	for i, p := range taken {
		r := &replies[i]
		results[i] = result{pending: p, reply: r}
		refused = refused || r.Fault == RateLimited
		if r.Err != nil && b.repeats(p, r, now, jitter) {
			b.repeated.Add(1)
			results[i].reply = nil
		}
	}
	if refused {
		b.refused.Add(1)
		pause := b.opt.Bucket.Refuse(now)
		b.opt.Log.Warn("the portal refused a request because of the rate limit", "pause", pause)
	} else {
		b.opt.Bucket.Accept()
	}
	b.queue.deliver(results)
}

// repeats decides whether a failed command is sent again, and when. If not, it
// completes the reply.
func (b *Batcher) repeats(p *pending, r *Reply, now time.Time, jitter float64) bool {
	switch r.Fault {
	case RateLimited:
		p.refusals++
		if p.refusals <= maxRefusals {
			return true
		}
		r.NotBefore = now.Add(refusedFor)
		return false
	case BatchLimited:
		// An older core counts the batch itself.
		b.opt.Operating.Refuse("batch", now)
		return true
	case MethodLimited:
		r.NotBefore = b.opt.Operating.Refuse(p.Method, now)
		b.opt.Log.Warn("a method has used up its working time", "method", p.Method, "until", r.NotBefore)
		return false
	case Blocked:
		b.block(r, now)
		return false
	case Unsent, Lost:
		if r.Fault == Lost && p.Write || p.repeats >= maxRepeats || b.life.Err() != nil {
			return false
		}
		pause := float64(repeatPause<<(2*p.repeats)) * (1 + jitter)
		p.repeats++
		p.notBefore = now.Add(time.Duration(pause))
		return true
	case Final:
	}
	return false
}

// block fails every command for a while: the portal has blocked REST, and
// further calls would prolong that.
func (b *Batcher) block(r *Reply, now time.Time) {
	r.NotBefore = now.Add(blockedFor)
	down := NoReply(r.Err)
	down.NotBefore = r.NotBefore
	if b.queue.stop(down, r.NotBefore) {
		b.opt.Log.Error("the portal has blocked REST because of overload", "until", r.NotBefore)
	}
}
