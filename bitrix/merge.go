package bitrix

import (
	"context"
	"maps"
	"math/bits"
	"sync"
	"time"
)

// waiter is a caller who waits for the rows of one owner.
type waiter struct {
	call Call
	done chan merged // of capacity 1
}

// merged is what a waiter gets. unmerged says that it has to make its own call.
type merged struct {
	answer   Answer
	unmerged bool
}

// mergedCall is a command for several owners. They may join until it leaves.
type mergedCall struct {
	form    form
	first   Call // of the caller who started it
	waiters []*waiter
	probe   bool // it is to find out the form
	urgent  bool // it travels alone when that costs nothing
	sealed  bool
	whole   bool // it reads the rows of all owners of the portal
	owners  int  // when it is sealed
}

// merge gathers the calls that differ only in their owner.
type merge struct {
	form     form
	proven   bool
	open     map[place]*mergedCall
	probing  bool      // a merged call is about to find out the form
	waiting  []*waiter // for what it finds out
	askedAll time.Time // when the rows of all owners were last asked for
	tries    int       // merged calls that showed nothing
	perOwner float64   // rows; below 0 when unknown

	witnesses []string // two owners with rows, nil when unknown
	check     *check   // that has not left yet
}

// place tells the merged calls apart that an owner may join: one for all in the
// form of a list, one for each stretch of numbers in the form of a range, and
// others for background calls. Numbers of as many digits have the same order as
// texts, in case a portal compares texts.
type place struct {
	digits     int
	block      uint64
	background bool
}

// merger merges the listing calls of a client. It keeps the merges by what their
// calls have in common.
type merger struct {
	sender *sender
	life   context.Context // of the client: merged calls belong to no caller
	work   sync.WaitGroup

	mu     sync.Mutex
	merges map[string]*merge
	closed bool
}

// join gives a waiter its place: in a merged call, which it may have to start,
// or among those who wait for a probe. It returns the merged call to start.
func (m *merger) join(key string, w *waiter) (start *mergedCall, of *merge, unmerged bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of = m.merges[key]
	if of == nil {
		if m.merges == nil || len(m.merges) >= maxMerges {
			m.merges = map[string]*merge{}
		}
		of = &merge{perOwner: -1, open: map[place]*mergedCall{}}
		m.merges[key] = of
	}
	if m.closed {
		return nil, of, true
	}
	start, unmerged = of.join(w)
	return start, of, unmerged
}

// join is merger.join for one merge. The caller holds the merger's lock.
func (of *merge) join(w *waiter) (start *mergedCall, unmerged bool) {
	room := of.room()
	at, ok := of.place(w, room)
	if !ok {
		return nil, true
	}
	if k := of.open[at]; k != nil && len(k.waiters) < room {
		k.waiters = append(k.waiters, w)
		return nil, false
	}
	if !of.proven && of.probing {
		of.waiting = append(of.waiting, w)
		return nil, false
	}
	of.probing = !of.proven
	k := &mergedCall{form: of.form, first: w.call, waiters: []*waiter{w}, probe: !of.proven, urgent: of.urgent(w.call)}
	of.open[at] = k
	return k, false
}

// urgent reports whether a merged call is to travel alone, because several wait
// for a probe. A list with few rows shows nothing, however often it is asked
// for.
func (of *merge) urgent(call Call) bool {
	return !of.proven && call.Many.Bare && time.Since(of.askedAll) >= urgentPause
}

// severalWait reports whether several callers wait for what a merged call shows.
func (m *merger) severalWait(of *merge, k *mergedCall) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(k.waiters)+len(of.waiting) > 1
}

// place says which merged call a waiter may join. ok is false when it has to
// make its own call.
func (of *merge) place(w *waiter, room int) (at place, ok bool) {
	switch of.form {
	case byList:
		return place{background: w.call.background}, true
	case byRange:
		n, ok := number(w.call.Many.Owner)
		return place{len(w.call.Many.Owner), n >> (bits.Len(uint(room)) - 1), w.call.background}, ok
	case byOne:
	}
	return place{}, false
}

// room is how many owners a merged call takes.
func (of *merge) room() int {
	if of.perOwner < 0 {
		return firstOwners
	}
	if of.form == byRange { // a power of two: see place
		return 1 << (bits.Len(uint(min(maxOwners, pageSize/of.perOwner))|1) - 1)
	}
	return max(1, int(min(maxOwners, fillRows/of.perOwner)))
}

// seal ends the joining and returns the call to send. A single owner's call
// stays as it is. While no form is proven, the call asks for the rows of all
// owners, where the method allows that: often they are few, and the answer also
// serves those who wait for the probe. If they are many, they show for which
// owners to ask to find out the form.
func (m *merger) seal(of *merge, k *mergedCall) Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k.sealed {
		return k.first
	}
	k.sealed = true
	maps.DeleteFunc(of.open, func(_ place, open *mergedCall) bool { return open == k })
	owners := k.distinct()
	if k.form == byRange && !k.probe && sparse(owners) {
		for _, w := range k.waiters[1:] {
			w.done <- merged{unmerged: true}
		}
		k.waiters, owners = k.waiters[:1], owners[:1]
	}
	k.owners = len(owners)
	switch {
	case k.owners == 1:
		return k.waiters[0].call
	case k.probe && k.first.Many.Bare:
		k.whole, of.askedAll = true, time.Now()
		k.waiters = append(k.waiters, of.waiting...)
		of.waiting = nil
		return k.first.without()
	}
	return k.first.forOwners(k.form, owners)
}

// distinct returns the owners of a merged call, each once.
func (k *mergedCall) distinct() []string {
	owners, seen := make([]string, 0, len(k.waiters)), make(map[string]bool, len(k.waiters))
	for _, w := range k.waiters {
		if owner := w.call.Many.Owner; !seen[owner] {
			seen[owner] = true
			owners = append(owners, owner)
		}
	}
	return owners
}

// sparse reports whether a range of these owners would bring too many rows of
// others.
func sparse(owners []string) bool {
	from, to := span(owners)
	low, _ := number(from)
	high, _ := number(to)
	return high-low >= uint64(maxGaps*len(owners))
}

// learn notes how many rows the owners have that have any. Other owners may soon
// have as many, and a second page costs more than one command more. So a higher
// number counts at once.
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

// ended notes what a merged call showed of its form and whether it was useful,
// and gives places to those who wait and to those it could not answer. It
// returns the merged calls to start.
func (m *merger) ended(of *merge, k *mergedCall, found verdict, useful bool, again []*waiter) (start []*mergedCall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if of.form == k.form {
		of.judge(k, found)
	}
	if k.probe {
		of.probing = false
		if found == unsure && !useful {
			if of.tries++; of.tries >= maxTries {
				of.form = byOne
			}
		}
		again = append(again, of.waiting...)
		of.waiting = nil
	}
	for _, w := range again {
		s, unmerged := of.join(w)
		if s != nil {
			start = append(start, s)
		}
		if unmerged {
			w.done <- merged{unmerged: true}
		}
	}
	return start
}

// judge takes a verdict on the form in use.
func (of *merge) judge(k *mergedCall, found verdict) {
	switch found {
	case proven:
		of.proven = true
	case refuted:
		of.proven, of.tries = false, 0
		of.form = k.next()
	case unsure:
	}
}

// next is the form to try when that of a merged call is refuted.
func (k *mergedCall) next() form {
	if k.form == byList && k.first.Many.Bare && k.first.Many.From != "" && k.first.Many.To != "" {
		return byRange
	}
	return byOne
}

// close makes every later call go unmerged and waits for the merged calls in
// progress.
func (m *merger) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.work.Wait()
}
