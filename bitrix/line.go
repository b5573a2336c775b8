package bitrix

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

// maxBatch is how many commands a batch request may hold.
// Source: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
const maxBatch = 50

// gathering is how long callers who got their answers together have to ask
// again together.
const gathering = 5 * time.Millisecond

// arriving is how long a call waits for those that its caller makes beside it.
const arriving = time.Millisecond

// renewAhead is how many requests before their turn stale calls are made anew:
// the reads that this takes need one.
const renewAhead = 2

// laterPatience is after what time work that can wait is done like any other.
const laterPatience = time.Minute

// line is where calls wait for a request to travel in. Groups are served in the
// order of their arrival; one that has had a whole batch goes to the end. Those
// that can wait get the room that others leave.
type line struct {
	max    int
	ending time.Duration // how long a request goes on that nobody waits for
	wake   wakeup.Signal // sent when something was added

	mu      sync.Mutex
	groups  []*group // those with waiting commands; those that can wait stand behind
	waiting int
	flying  int       // requests under way
	gather  time.Time // when those whose answers came together may have asked again
	renewed time.Time // when those whose calls were stale may have
	down    *Error    // nothing is let in
	until   time.Time // when down ends; zero is never
}

func newLine(limit int, settle time.Duration) *line {
	return &line{max: limit, ending: settle, wake: wakeup.New()}
}

func (l *line) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// add lets a group in.
func (l *line) add(g *group) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch down := l.closed(time.Now()); {
	case down != nil:
		return down
	case l.waiting+len(g.waiting) > l.max:
		return &Error{Detail: fmt.Sprintf("%d calls wait for this portal already", l.waiting), Outcome: NotExecuted, passing: true}
	case len(g.waiting) == 0:
		return nil
	}
	g.at = time.Now()
	l.queue(g)
	l.waiting += len(g.waiting)
	l.wake.Send()
	return nil
}

// queue lines a group up behind its like.
func (l *line) queue(g *group) {
	at := slices.IndexFunc(l.groups, func(o *group) bool { return g.rank() < o.rank() })
	if at < 0 {
		at = len(l.groups)
	}
	l.groups = slices.Insert(l.groups, at, g)
}

// probes reports whether a probe is the next to go.
func (l *line) probes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rushes()
}

func (l *line) rushes() bool {
	return len(l.groups) > 0 && l.groups[0].probe != nil && !l.groups[0].later && l.groups[0].probe()
}

// urgent is how many groups there are that cannot wait.
func (l *line) urgent() int {
	if i := slices.IndexFunc(l.groups, func(g *group) bool { return g.later }); i >= 0 {
		return i
	}
	return len(l.groups)
}

// promote lets groups that have waited for long wait no more, and reports
// whether only such stand in the line that can.
func (l *line) promote(now time.Time) (allLater bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.groups[l.urgent():] { // the first ones have waited longest
		if now.Sub(g.at) < laterPatience {
			break
		}
		g.later = false
	}
	return l.urgent() == 0
}

// closed returns why nothing is let in, if so.
func (l *line) closed(now time.Time) *Error {
	if l.down != nil && !l.until.IsZero() && !l.until.After(now) {
		l.down = nil
	}
	return l.down
}

// leave takes out a group whose caller has gone. What is under way runs on.
func (l *line) leave(g *group, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.open == 0 {
		return
	}
	l.waiting -= len(g.waiting)
	l.groups = slices.DeleteFunc(l.groups, func(o *group) bool { return o == g })
	g.fail(gaveUp(cause, NotExecuted))
	for i, a := range g.answers {
		if a.Err == nil && a.Result == nil { // under way
			err := gaveUp(cause, Unknown).of(g.methods[i])
			if g.writes {
				err.Settled = time.Now().Add(l.ending)
			}
			g.answers[i] = noAnswer(err)
		}
	}
	g.left = true
}

// stop fails what waits with an error that names its time, and lets nothing in
// until then. It reports whether the line was open before.
func (l *line) stop(err *Error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.closed(time.Now())
	if was != nil && l.until.IsZero() {
		return false // shut for good
	}
	l.down, l.until = err, err.NotBefore
	for _, g := range l.groups {
		g.fail(err)
	}
	l.groups, l.waiting = nil, 0
	return was == nil
}

// shut is stop for good.
func (l *line) shut(err *Error) {
	err.NotBefore = time.Time{}
	l.stop(err)
}

// ready returns how long to wait until a command may go, 0 when one may now and
// -1 when none waits.
func (l *line) ready(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Duration(-1)
	for _, g := range l.groups {
		if g.ordered && g.flying > 0 {
			continue // its caller wants it after what is under way
		}
		for _, cmd := range g.waiting {
			d := max(0, cmd.notBefore.Sub(now))
			if cmd.stale(now) {
				d = max(0, l.renewed.Sub(now))
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

// company returns how long a request should wait for more commands. While
// another is under way, one that would not be full gives the first of its
// callers patience; when it lands, or there are enough, it goes at once. So
// nobody who is alone waits, but for the millisecond in which calls beside it
// arrive, and a burst is not spent on requests of one or two.
// It is negative while width requests are under way: one has to land first. A
// probe waits for nobody when there is room for requests of one command.
func (l *line) company(now time.Time, width int, patience time.Duration, roomy bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flying >= width {
		return -1
	}
	if d := l.renewed.Sub(now); d > 0 {
		return d
	}
	if len(l.groups) == 0 || l.waiting >= maxBatch || roomy && l.rushes() {
		return 0
	}
	if d := l.gather.Sub(now); d > 0 {
		return d
	}
	if l.flying == 0 {
		if l.groups[0].beside {
			return max(0, arriving-now.Sub(l.groups[0].at))
		}
		return 0
	}
	oldest := l.groups[0].at
	if i := slices.IndexFunc(l.groups, func(g *group) bool { return !g.first }); i >= 0 && l.groups[i].at.Before(oldest) {
		oldest = l.groups[i].at
	}
	return max(0, patience-now.Sub(oldest))
}

// gate tells whether a command may go now: nil and zero, or the time when it
// may, or why it may not at all.
type gate func(*command) (time.Time, *Error)

// take picks up to room commands that travel together. What the gate lets not
// pass stays, or fails at once. What is stale fails shortly before its turn.
func (l *line) take(now time.Time, room int, pass gate) []*command {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*command
	var tired []*group
	for _, g := range l.groups {
		if len(out) == room || len(out) == 1 && out[0].alone {
			break
		}
		before := len(g.waiting)
		picked := g.pick(now, room, len(out), pass)
		l.waiting -= before - len(g.waiting)
		out = append(out, picked...)
		if g.turn += len(picked); g.turn >= maxBatch {
			g.turn = 0
			tired = append(tired, g)
		}
	}
	l.groups = slices.DeleteFunc(l.groups, func(g *group) bool { return len(g.waiting) == 0 || slices.Contains(tired, g) })
	for _, g := range tired {
		if len(g.waiting) > 0 {
			l.queue(g)
		}
	}
	if len(out) > 0 {
		l.flying++
	}
	l.renew(now)
	return out
}

// renew fails what is stale of the commands that fill the next requests, so that
// what is made in their place is ready when it is their turn, and no sooner.
func (l *line) renew(now time.Time) {
	place, stale := 0, 0
	for _, g := range l.groups {
		if place >= renewAhead*maxBatch {
			break
		}
		g.waiting = slices.DeleteFunc(g.waiting, func(cmd *command) bool {
			place++
			if place > renewAhead*maxBatch || !cmd.stale(now) {
				return false
			}
			stale++
			g.answer(cmd, noAnswer((&Error{Detail: "not sent: " + ErrStale.Error(), Outcome: NotExecuted, passing: true, cause: ErrStale}).of(cmd.call.Method)))
			return true
		})
	}
	if stale > 0 {
		l.waiting -= stale
		l.groups = slices.DeleteFunc(l.groups, func(g *group) bool { return len(g.waiting) == 0 })
		l.renewed = now.Add(gathering)
	}
}

// landed is what became of a command that was sent: an answer, or nil when it
// is to be sent again.
type landed struct {
	cmd    *command
	answer *Answer
}

// settle hands out the answers of a request and lines up again, at the head,
// what has none.
func (l *line) settle(results []landed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var back []*group
	l.flying--
	down := l.closed(time.Now())
	for _, r := range results {
		g := r.cmd.group
		g.flying--
		switch {
		case r.answer != nil:
			g.answer(r.cmd, *r.answer)
		case down != nil:
			g.answer(r.cmd, noAnswer(down.of(r.cmd.call.Method)))
		case !g.left:
			at, _ := slices.BinarySearchFunc(g.waiting, r.cmd.index, func(c *command, i int) int { return c.index - i })
			g.waiting = slices.Insert(g.waiting, at, r.cmd)
			l.waiting++
			if !slices.Contains(l.groups, g) && !slices.Contains(back, g) {
				back = append(back, g)
			}
		}
	}
	for _, g := range slices.Backward(back) {
		at := 0
		if g.later {
			at = l.urgent()
		}
		l.groups = slices.Insert(l.groups, at, g)
	}
	if len(results) > 1 {
		l.gather = time.Now().Add(gathering)
	}
	l.wake.Send()
}
