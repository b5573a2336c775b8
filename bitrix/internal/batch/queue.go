package batch

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// maxBatch is how many commands a batch request may hold.
	// Source: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
	maxBatch = 50
	// gathering is how long callers who got their replies together have to make
	// their next calls together.
	gathering = 5 * time.Millisecond
	// arriving is how long a command waits for the parallel calls of its caller.
	arriving = time.Millisecond
	// renewAhead is how many requests before their turn stale commands fail: the
	// reads that the caller makes then need one.
	renewEarly = 2
	// backgroundWait is the time after which a background command has the rank of
	// the others.
	backgroundWait = time.Minute
)

// requestQueue is where commands wait for a request. It serves groups in the
// order of their rank and arrival. A group that has had a whole batch goes to
// the end.
type requestQueue struct {
	max  int           // commands that may wait
	wake wakeup.Signal // sent when there may be something to send

	mu       sync.Mutex
	groups   []*group // those with waiting commands, by rank
	waiting  int      // commands
	inFlight int      // requests
	gather   time.Time
	renewed  time.Time
	down     *Reply    // every command gets this reply at once
	until    time.Time // when down ends; zero means never
}

func newRequestQueue(limit int) *requestQueue {
	return &requestQueue{max: limit, wake: wakeup.New()}
}

func (q *requestQueue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// add puts a group into the queue, or fails it.
func (q *requestQueue) add(g *group) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch down := q.closed(time.Now()); {
	case down != nil:
		g.fail(*down)
		return
	case q.waiting+len(g.waiting) > q.max:
		g.fail(NoReply(&QueueError{Reason: QueueFull, Detail: fmt.Sprintf("%d calls wait for this portal already", q.waiting)}))
		return
	case len(g.waiting) == 0:
		return
	}
	g.at = time.Now()
	q.insert(g)
	q.waiting += len(g.waiting)
	q.wake.Send()
}

// insert puts a group behind those of its rank.
func (q *requestQueue) insert(g *group) {
	at := slices.IndexFunc(q.groups, func(o *group) bool { return g.rank < o.rank })
	if at < 0 {
		at = len(q.groups)
	}
	q.groups = slices.Insert(q.groups, at, g)
}

// urgent reports whether an urgent command is the next to go.
func (q *requestQueue) urgent() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.urgentLocked()
}

func (q *requestQueue) urgentLocked() bool {
	return len(q.groups) > 0 && q.groups[0].urgent != nil && q.groups[0].rank != Background && q.groups[0].urgent()
}

// foreground returns how many groups are not in the background.
func (q *requestQueue) foreground() int {
	if i := slices.IndexFunc(q.groups, func(g *group) bool { return g.rank == Background }); i >= 0 {
		return i
	}
	return len(q.groups)
}

// promote gives background groups that have waited long the normal rank. It
// reports whether only background groups are left.
func (q *requestQueue) promote(now time.Time) (background bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.groups[q.foreground():] { // the first ones have waited longest
		if now.Sub(g.at) < backgroundWait {
			break
		}
		g.rank = Normal
	}
	return q.foreground() == 0
}

// closed returns the reply that every command gets now, nil while the queue is
// open.
func (q *requestQueue) closed(now time.Time) *Reply {
	if q.down != nil && !q.until.IsZero() && !q.until.After(now) {
		q.down = nil
	}
	return q.down
}

// leave removes a group whose caller has gone. Commands that were sent run on.
func (q *requestQueue) leave(g *group, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g.open == 0 {
		return
	}
	q.waiting -= len(g.waiting)
	q.groups = slices.DeleteFunc(q.groups, func(o *group) bool { return o == g })
	g.fail(gaveUp(cause, false))
	for i, r := range g.replies {
		if r.Err == nil && r.Result == nil { // it was sent
			g.replies[i] = gaveUp(cause, true)
		}
	}
	g.left = true
}

// stop gives every waiting command a reply, and every new one until the given
// time; zero means permanently. It reports whether the queue was open before.
func (q *requestQueue) stop(r Reply, until time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.closed(time.Now())
	if was != nil && q.until.IsZero() {
		return false // closed permanently
	}
	q.down, q.until = &r, until
	for _, g := range q.groups {
		g.fail(r)
	}
	q.groups, q.waiting = nil, 0
	return was == nil
}

// open ends a stop that has an end.
func (q *requestQueue) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.until.IsZero() {
		q.down, q.until = nil, time.Time{}
	}
}

// ready returns how long to wait until a command may go: 0 when one may go now,
// -1 when none waits.
func (q *requestQueue) ready(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait := time.Duration(-1)
	for _, g := range q.groups {
		if g.ordered && g.inFlight > 0 {
			continue // its commands come after those that were sent
		}
		for _, p := range g.waiting {
			d := max(0, p.notBefore.Sub(now))
			if p.stale(now) {
				d = max(0, q.renewed.Sub(now))
			}
			if d == 0 {
				return 0
			}
			if wait < 0 || d < wait {
				wait = d
			}
			if g.ordered {
				break
			}
		}
	}
	return wait
}

// gatherWait returns how long a request waits for more commands. While other
// requests are in progress, a request that is not full waits for up to patience,
// counted from its first command. It goes at once when one of the others ends or
// when it is full. So a caller alone does not wait, except for the millisecond
// in which its parallel calls arrive, and a burst is not used up by requests
// with one or two commands.
// It is negative while width requests are in progress: one of them has to end
// first. An urgent command does not wait while the portal has a burst left, and nor does
// one that needs its own request.
func (q *requestQueue) gatherWait(now time.Time, width int, patience time.Duration, hasBurst bool) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight >= width {
		return -1
	}
	if d := q.renewed.Sub(now); d > 0 {
		return d
	}
	if len(q.groups) == 0 || q.waiting >= maxBatch || hasBurst && q.urgentLocked() || q.groups[0].waiting[0].single() {
		return 0
	}
	if d := q.gather.Sub(now); d > 0 {
		return d
	}
	if q.inFlight == 0 {
		if q.groups[0].parallel {
			return max(0, arriving-now.Sub(q.groups[0].at))
		}
		return 0
	}
	oldest := q.groups[0].at
	if i := slices.IndexFunc(q.groups, func(g *group) bool { return g.rank >= Normal }); i >= 0 && q.groups[i].at.Before(oldest) {
		oldest = q.groups[i].at
	}
	return max(0, patience-now.Sub(oldest))
}

// admission says whether a command may go: now if the time is zero, at that
// time, or not at all with the reply that it gets.
type admission func(*pending) (time.Time, *Reply)

// take picks up to room commands for one request. A command that may not go yet
// stays; one that may not go at all, or is stale shortly before its turn, fails.
func (q *requestQueue) take(now time.Time, room int, admit admission) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*pending
	var served []*group // a whole batch in a row
	l := &load{room: room}
	for _, g := range q.groups {
		if l.taken == room || len(out) == 1 && out[0].single() {
			break
		}
		before := len(g.waiting)
		picked := g.pick(now, l, admit)
		q.waiting -= before - len(g.waiting)
		out = append(out, picked...)
		if g.turn += len(picked); g.turn >= maxBatch {
			g.turn = 0
			served = append(served, g)
		}
	}
	q.groups = slices.DeleteFunc(q.groups, func(g *group) bool { return len(g.waiting) == 0 || slices.Contains(served, g) })
	for _, g := range served {
		if len(g.waiting) > 0 {
			q.insert(g)
		}
	}
	if len(out) > 0 {
		q.inFlight++
	}
	q.dropStale(now)
	return out
}

// dropStale fails the stale commands among those that fill the next requests, so
// that their callers' new ones are ready when their turn comes, and no sooner.
func (q *requestQueue) dropStale(now time.Time) {
	place, stale := 0, 0
	for _, g := range q.groups {
		if place >= renewEarly*maxBatch {
			break
		}
		g.waiting = slices.DeleteFunc(g.waiting, func(p *pending) bool {
			place++
			if place > renewEarly*maxBatch || !p.stale(now) {
				return false
			}
			stale++
			g.answer(p, NoReply(&QueueError{Reason: Stale}))
			return true
		})
	}
	if stale > 0 {
		q.waiting -= stale
		q.groups = slices.DeleteFunc(q.groups, func(g *group) bool { return len(g.waiting) == 0 })
		q.renewed = now.Add(gathering)
	}
}

// result is a command that was sent with its reply, nil when it is to be sent
// again.
type result struct {
	pending *pending
	reply   *Reply
}

// deliver gives the replies of one request to their callers. Commands that are
// sent again go to the head of the queue.
func (q *requestQueue) deliver(results []result) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var back []*group
	q.inFlight--
	down := q.closed(time.Now())
	for _, r := range results {
		g := r.pending.group
		g.inFlight--
		switch {
		case r.reply != nil:
			g.answer(r.pending, *r.reply)
		case down != nil:
			g.answer(r.pending, *down)
		case !g.left:
			at, _ := slices.BinarySearchFunc(g.waiting, r.pending.index, func(p *pending, i int) int { return p.index - i })
			g.waiting = slices.Insert(g.waiting, at, r.pending)
			q.waiting++
			if !slices.Contains(q.groups, g) && !slices.Contains(back, g) {
				back = append(back, g)
			}
		}
	}
	for _, g := range slices.Backward(back) {
		at := 0
		if g.rank == Background {
			at = q.foreground()
		}
		q.groups = slices.Insert(q.groups, at, g)
	}
	if len(results) > 1 {
		q.gather = time.Now().Add(gathering)
	}
	q.wake.Send()
}
