package bitrix

import (
	"maps"
	"math/bits"
	"sync"
	"time"
)

// ask is one owner's call.
type ask struct {
	call Call
	done chan asked // of capacity 1
}

// asked is what became of an ask. alone says that the call has to be made for
// itself.
type asked struct {
	answer Answer
	alone  bool
}

// carrier is a command for several owners. They may join until it leaves.
type carrier struct {
	form   form
	first  Call // of the one who started it
	asks   []*ask
	probe  bool // it is to tell the form
	rushes bool // it travels alone when that costs nothing
	sealed bool
	whole  bool // it reads the rows of all owners there are
	owners int  // when it is sealed
}

// merge gathers the calls that differ in nothing but their owner.
type merge struct {
	form     form
	proven   bool
	open     map[place]*carrier
	probing  bool      // a carrier is about to tell the form
	waiting  []*ask    // for what it tells
	rushed   time.Time // when all were asked for last
	tries    int       // carriers that told nothing
	perOwner float64   // rows; below 0 when unknown
}

// place tells the carriers apart that an owner may join: one for all in the
// form of a list, one for each stretch of numbers in that of a range, and others
// for what can wait. Numbers of as many digits have the same order as texts, should a portal compare texts.
type place struct {
	digits int
	block  uint64
	later  bool
}

// merger keeps the merges of a client by what their calls have in common.
type merger struct {
	mu     sync.Mutex
	merges map[string]*merge
	closed bool
	work   sync.WaitGroup
}

// join gives an ask its place: in a carrier, which it may have to start, or
// among those who wait for what a probe tells. It returns the carrier to start.
func (m *merger) join(key string, a *ask) (start *carrier, of *merge, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of = m.merges[key]
	if of == nil {
		if m.merges == nil || len(m.merges) >= maxMerges {
			m.merges = map[string]*merge{}
		}
		of = &merge{perOwner: -1, open: map[place]*carrier{}}
		m.merges[key] = of
	}
	if m.closed {
		return nil, of, true
	}
	start, alone = of.seat(a)
	return start, of, alone
}

// seat is join for one merge, with the merger's lock held.
func (of *merge) seat(a *ask) (start *carrier, alone bool) {
	room := of.room()
	at, ok := of.place(a, room)
	if !ok {
		return nil, true
	}
	if k := of.open[at]; k != nil && len(k.asks) < room {
		k.asks = append(k.asks, a)
		return nil, false
	}
	if !of.proven && of.probing {
		of.waiting = append(of.waiting, a)
		return nil, false
	}
	of.probing = !of.proven
	k := &carrier{form: of.form, first: a.call, asks: []*ask{a}, probe: !of.proven, rushes: of.rush(a.call)}
	of.open[at] = k
	return k, false
}

// rush reports whether a carrier is to travel alone: many wait for what a probe
// tells. A list that holds little tells nothing, however often it is asked for.
func (of *merge) rush(call Call) bool {
	return !of.proven && call.Many.Bare && time.Since(of.rushed) >= rushPause
}

// wanted reports whether several wait for what a carrier tells.
func (m *merger) wanted(of *merge, k *carrier) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(k.asks)+len(of.waiting) > 1
}

// place tells which carrier an ask may join. ok is false when it has to go alone.
func (of *merge) place(a *ask, room int) (at place, ok bool) {
	switch of.form {
	case byList:
		return place{later: a.call.later}, true
	case byRange:
		n, ok := number(a.call.Many.Owner)
		return place{len(a.call.Many.Owner), n >> (bits.Len(uint(room)) - 1), a.call.later}, ok
	case byOne:
	}
	return place{}, false
}

// room is how many owners a carrier takes.
func (of *merge) room() int {
	if of.perOwner < 0 {
		return firstOwners
	}
	if of.form == byRange { // a power of two: see place
		return 1 << (bits.Len(uint(min(maxOwners, pageSize/of.perOwner))|1) - 1)
	}
	return max(1, int(min(maxOwners, fillRows/of.perOwner)))
}

// seal ends the joining and returns the call to send. A single owner's is sent
// as it is. While nothing is proven, everybody's rows are asked for, where that
// can be: often they are few, and if not, they show who can be asked for to
// find the form out. Then it also answers those who wait.
func (m *merger) seal(of *merge, k *carrier) Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k.sealed {
		return k.first
	}
	k.sealed = true
	maps.DeleteFunc(of.open, func(_ place, open *carrier) bool { return open == k })
	owners := k.distinct()
	if k.form == byRange && !k.probe && sparse(owners) {
		for _, a := range k.asks[1:] {
			a.done <- asked{alone: true}
		}
		k.asks, owners = k.asks[:1], owners[:1]
	}
	k.owners = len(owners)
	switch {
	case k.owners == 1:
		return k.asks[0].call
	case k.probe && k.first.Many.Bare:
		k.whole, of.rushed = true, time.Now()
		k.asks = append(k.asks, of.waiting...)
		of.waiting = nil
		return k.first.without()
	}
	return k.first.forOwners(k.form, owners)
}

// distinct returns the owners of a carrier, each once.
func (k *carrier) distinct() []string {
	owners, seen := make([]string, 0, len(k.asks)), make(map[string]bool, len(k.asks))
	for _, a := range k.asks {
		if owner := a.call.Many.Owner; !seen[owner] {
			seen[owner] = true
			owners = append(owners, owner)
		}
	}
	return owners
}

// sparse says that a range of these owners would bring too much of others.
func sparse(owners []string) bool {
	from, to := span(owners)
	low, _ := number(from)
	high, _ := number(to)
	return high-low >= uint64(maxGaps*len(owners))
}

// learn notes how many rows the owners have that have any. Others may have some
// soon, and a second page costs more than one command more: what is more is
// believed at once.
func (m *merger) learn(of *merge, rows, owners int) {
	if rows <= 0 || owners == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := float64(rows) / float64(owners)
	if of.perOwner > now {
		now = (of.perOwner + now) / 2
	}
	of.perOwner = now
}

// ended notes what a carrier told of its form, and whether it was of use at
// all, and gives places to those who wait and to those it could not answer. It
// returns the carriers to start.
func (m *merger) ended(of *merge, k *carrier, told verdict, useful bool, again []*ask) (start []*carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if of.form == k.form {
		of.judged(k, told)
	}
	if k.probe {
		of.probing = false
		if told == unsure && !useful {
			if of.tries++; of.tries >= maxTries {
				of.form = byOne
			}
		}
		again = append(again, of.waiting...)
		of.waiting = nil
	}
	for _, a := range again {
		s, alone := of.seat(a)
		if s != nil {
			start = append(start, s)
		}
		if alone {
			a.done <- asked{alone: true}
		}
	}
	return start
}

// judged takes a verdict on the form in use.
func (of *merge) judged(k *carrier, told verdict) {
	switch told {
	case proven:
		of.proven = true
	case refuted:
		of.proven, of.tries = false, 0
		of.form = k.next()
	case unsure:
	}
}

// next is the form to try when that of a carrier is refuted.
func (k *carrier) next() form {
	if k.form == byList && k.first.Many.Bare && k.first.Many.From != "" && k.first.Many.To != "" {
		return byRange
	}
	return byOne
}

// shut makes every later call go alone and waits for the carriers under way.
func (m *merger) shut() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.work.Wait()
}
