package lint

import "slices"

// nonTerminatingWay is a breadth-first search for a cycle through e in which every
// step finds something to write in every pass. The shortest cycle may terminate while
// a longer one, over other steps or rules, does not.
func (g *cycleGraph) nonTerminatingWay(e *effect) []cycleLink {
	type visit struct {
		link cycleLink
		from int // index in the queue; -1 at the start
	}
	var queue []visit
	seen := map[cycleLink]bool{}
	for _, op := range e.ops() {
		if first := (cycleLink{e, op}); first.repeats() || !e.passive {
			queue = append(queue, visit{first, -1})
		}
	}
	for at := 0; at < len(queue); at++ {
		last := queue[at].link
		for _, n := range g.subscribers(last.e, last.op) {
			if !share(last.e.rule.portals, n.rule.portals) {
				continue
			}
			for _, x := range g.of[n] {
				for _, op := range x.ops() {
					next := cycleLink{x, op}
					if seen[next] || !g.passes(last.e, next) {
						continue
					}
					if x == e {
						return wayOf(at, func(i int) (cycleLink, int) { return queue[i].link, queue[i].from })
					}
					seen[next] = true
					queue = append(queue, visit{next, at})
				}
			}
		}
	}
	return nil
}

// wayOf follows a search back to its start.
func wayOf(at int, visited func(i int) (link cycleLink, from int)) []cycleLink {
	var way []cycleLink
	for at >= 0 {
		link, from := visited(at)
		way = append(way, link)
		at = from
	}
	slices.Reverse(way)
	return way
}

// repeats reports whether a step writes again regardless of the links before it.
func (l cycleLink) repeats() bool { return !l.e.keepsGoing(l.op).Empty() }

// passes reports whether a step writes again after before has written. It says no when
// the budget is used up.
func (g *cycleGraph) passes(before *effect, l cycleLink) bool {
	if l.repeats() {
		return true
	}
	if l.e.passive || g.budget <= 0 {
		return false
	}
	g.budget--
	depends, _ := l.e.passesOn(before)
	return depends
}
