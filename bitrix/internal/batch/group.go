package batch

import (
	"errors"
	"time"
)

// pending is a command that waits in a queue or has been sent.
type pending struct {
	Command
	group *group
	index int // in the group

	repeats   int       // after answers that never came
	refusals  int       // by the rate limit
	notBefore time.Time // when it may be sent
}

// single reports whether the command needs its own request.
func (p *pending) single() bool { return p.Query == "" }

// shares reports whether the command can be sent once for several callers.
func (p *pending) shares() bool { return p.Shared && !p.single() }

// stale reports whether the command's deadline is over.
func (p *pending) stale(now time.Time) bool {
	return !p.Deadline.IsZero() && p.Deadline.Before(now)
}

// complete asks for the query of a command that is about to leave.
func (p *pending) complete() error {
	if p.Late == nil {
		return nil
	}
	late, err := p.Late()
	p.Late = nil
	if err == nil && late.Query == "" {
		err = errors.New("the command cannot be part of a batch")
	}
	p.Params, p.Query = late.Params, late.Query
	return err
}

// group is the commands that one caller sends together.
type group struct {
	replies []Reply
	done    chan struct{} // closed when every command has its reply

	// The queue's mutex guards the rest.
	rank     Rank
	ordered  bool // there is a write whose order counts
	parallel bool // its caller makes other calls at the same time
	urgent   func() bool
	waiting  []*pending // by index
	inFlight int        // commands that were sent and have no reply
	open     int        // commands without a reply
	left     bool       // the caller has gone
	turn     int        // commands taken since the group was last at the end
	at       time.Time  // when it came
}

// newGroup prepares the commands of a caller.
func newGroup(commands []Command) *group {
	g := &group{replies: make([]Reply, len(commands)), done: make(chan struct{}), open: len(commands), waiting: make([]*pending, len(commands))}
	background := false
	for i, cmd := range commands {
		g.waiting[i] = &pending{Command: cmd, group: g, index: i}
		g.ordered = g.ordered || cmd.Write && !cmd.Unordered
		g.parallel = g.parallel || cmd.Parallel
		g.rank = min(g.rank, cmd.Rank)
		background = background || cmd.Rank == Background
		if cmd.Urgent != nil {
			g.urgent = cmd.Urgent
		}
	}
	if background {
		g.rank = Background
	}
	if len(commands) == 0 {
		close(g.done)
	}
	return g
}

// answer gives one command its reply.
func (g *group) answer(p *pending, r Reply) {
	if g.left {
		return
	}
	g.replies[p.index] = r
	if g.open--; g.open == 0 {
		close(g.done)
	}
}

// fail gives all commands that wait the same reply.
func (g *group) fail(r Reply) {
	waiting := g.waiting
	g.waiting = nil
	for _, p := range waiting {
		g.answer(p, r)
	}
}

// load is what a request takes.
type load struct {
	room   int             // commands that it can have
	taken  int             // commands that it has; shared ones count once
	shared map[string]bool // the queries of shared ones
}

// add counts a command.
func (l *load) add(p *pending) {
	if !p.shares() {
		l.taken++
		return
	}
	if l.shared == nil {
		l.shared = map[string]bool{}
	}
	if !l.shared[p.Query] {
		l.shared[p.Query] = true
		l.taken++
	}
}

// pick takes a group's next commands for a request that already has some. An
// ordered group is taken whole, or it is the first of the next request.
func (g *group) pick(now time.Time, l *load, admit admission) []*pending {
	if g.ordered && g.inFlight > 0 {
		return nil
	}
	if g.ordered && l.taken > 0 && l.taken+min(len(g.waiting), maxBatch) > l.room {
		return nil
	}
	var out, rest []*pending
	stuck := false // a command stays, and the following ones must not overtake it
	for _, p := range g.waiting {
		stuck = stuck || p.WithNext && l.room > 1 && l.taken == l.room-1
		full := l.taken == l.room && !(p.shares() && l.shared[p.Query])
		if stuck || full || len(out) == 1 && out[0].single() {
			rest = append(rest, p)
			continue
		}
		ready := !p.notBefore.After(now) && !p.stale(now) && (!p.single() || l.taken == 0)
		if ready {
			later, fault := admit(p)
			if fault != nil {
				g.answer(p, *fault)
				continue
			}
			p.notBefore, ready = later, later.IsZero()
		}
		if !ready {
			rest = append(rest, p)
			stuck = g.ordered
			continue
		}
		if err := p.complete(); err != nil {
			g.answer(p, NoReply(&QueueError{Reason: NotSendable, Detail: err.Error()}))
			continue
		}
		out = append(out, p)
		l.add(p)
	}
	g.waiting = rest
	g.inFlight += len(out)
	return out
}
