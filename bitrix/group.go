package bitrix

import (
	"time"
)

// group is what one caller wants done together.
type group struct {
	methods []string
	answers []Answer
	done    chan struct{} // closed when every call has its answer

	// The rest is guarded by the line's mutex.
	writes  bool // there is a write
	ordered bool // there is a write and the order counts
	first   bool // several wait for it, or its turn had come before
	beside  bool // its caller makes others beside it
	// probe, if not nil, tells whether many wait for what the group tells of the
	// portal.
	probe   func() bool
	later   bool       // it can wait
	waiting []*command // by index
	flying  int        // commands that are under way
	open    int        // calls without an answer
	left    bool       // the caller has gone
	turn    int        // commands taken since the group was last at the end
	at      time.Time  // when it came
}

// newGroup prepares the calls of a caller. Calls that cannot be sent have their
// answers already.
func newGroup(calls []Call) *group {
	g := &group{methods: make([]string, len(calls)), answers: make([]Answer, len(calls)), done: make(chan struct{}), open: len(calls)}
	for i, call := range calls {
		g.methods[i], g.answers[i] = call.Method, noAnswer(nil)
		cmd, err := newCommand(g, i, call)
		if err != nil {
			g.answer(cmd, noAnswer(err.of(call.Method)))
			continue
		}
		g.writes = g.writes || call.Write
		g.ordered = g.ordered || call.Write && !call.Loose
		g.later = g.later || call.later
		g.first = g.first || call.Prompt
		g.beside = g.beside || call.Beside
		g.waiting = append(g.waiting, cmd)
	}
	if len(calls) == 0 {
		close(g.done)
	}
	return g
}

// answer settles one call.
func (g *group) answer(cmd *command, a Answer) {
	if g.left {
		return
	}
	g.answers[cmd.index] = a
	if g.open--; g.open == 0 {
		close(g.done)
	}
}

// fail settles all calls that wait.
func (g *group) fail(err *Error) {
	waiting := g.waiting
	g.waiting = nil
	for _, cmd := range waiting {
		g.answer(cmd, noAnswer(err.of(cmd.call.Method)))
	}
}

// rank is where a group stands: probes first, then reads for several callers,
// then the others, then those that can wait.
func (g *group) rank() int {
	switch {
	case g.later:
		return 3
	case g.probe != nil:
		return 0
	case g.first:
		return 1
	}
	return 2
}

// pick takes a group's next commands for a request that has taken already. A
// group whose order counts is taken whole or left for the next request, of which
// it will be the first.
func (g *group) pick(now time.Time, room, taken int, pass gate) []*command {
	if g.ordered && g.flying > 0 {
		return nil
	}
	if g.ordered && taken > 0 && taken+min(len(g.waiting), maxBatch) > room {
		return nil
	}
	var out, rest []*command
	stuck := false // what follows must not overtake
	for _, cmd := range g.waiting {
		if stuck || taken+len(out) == room || len(out) == 1 && out[0].alone {
			rest = append(rest, cmd)
			continue
		}
		ready := !cmd.notBefore.After(now) && !cmd.stale(now) && (!cmd.alone || taken+len(out) == 0)
		if ready {
			later, err := pass(cmd)
			if err != nil {
				g.answer(cmd, noAnswer(err.of(cmd.call.Method)))
				continue
			}
			cmd.notBefore, ready = later, later.IsZero()
		}
		if ready {
			cmd.complete()
			out = append(out, cmd)
			continue
		}
		rest = append(rest, cmd)
		stuck = g.ordered
	}
	g.waiting = rest
	g.flying += len(out)
	return out
}
