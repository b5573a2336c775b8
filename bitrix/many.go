package bitrix

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"time"

	"b24rules/bitrix/php"
)

// Many says how a listing call for the rows of one owner becomes one for those
// of several, so that calls which wait at the same time share a command. What a
// portal takes is found out by its answers; nobody has to know.
//
// The documentation gives crm.item.productrow.list and lists.element.get array
// filters, the server's source takes one owner in each call. From one owner to
// another is in both.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
type Many struct {
	// Param is the parameter that holds the filter, and Key the owner's key in
	// it: "filter" and "=ownerId".
	Param, Key string
	// List is the key that a list of owners needs; "" when it is Key.
	List string
	// From and To are the keys of the least and the greatest owner, both
	// included, where owners are numbers: ">=PROPERTY_101" and
	// "<=PROPERTY_101". "" when there are none. They want Bare.
	From, To string
	// Wrapper is the key under which the rows stand in the result, "" when the
	// result is the bare list.
	Wrapper string
	// Owner is the owner as Owners writes it.
	Owner string
	// Owners tells whose a row is: usually one owner, several for a field with
	// several values. It must not depend on the call.
	Owners func(row json.RawMessage) []string
	// Bare says that the method may be asked without an owner, which is how the
	// portal's form is found out. Without it, it is by the answers for those
	// who are asked for.
	Bare bool
}

// Bounds of the owners in one command.
const (
	firstOwners = 16  // when nothing is known of them
	maxOwners   = 100 // far below maxVars; what is learned of some may not hold for others
	// fillRows is how many rows a command should bring: some fewer than a
	// page, so that a second one is seldom needed.
	fillRows = 45
	// maxGaps is how many owners a range may span for each that is asked for:
	// the rows of those between them travel for nothing.
	maxGaps = 2
	// maxCarried is how many rows a command may find: much more than were
	// expected are better read for each owner.
	maxCarried = 20 * pageSize
	// maxTries is how many carriers may tell nothing until the portal is asked
	// for each owner.
	maxTries = 5
	// rushPause is how long a probe that travels alone is not followed by
	// another.
	rushPause = time.Second
	// maxMerges bounds how many kinds of calls are remembered.
	maxMerges = 1000
)

// form is how several owners stand in one command.
type form uint8

// The forms, the best first.
const (
	byList  form = iota // a list of them
	byRange             // from the least to the greatest
	byOne               // the portal takes neither
)

// verdict is what an answer tells of a form.
type verdict uint8

const (
	unsure verdict = iota
	proven
	refuted
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

// mergeKey is what calls have in common that can share a command. ok is false
// for a call that cannot be shared.
func mergeKey(call Call) (key string, ok bool) {
	if call.Write || call.Many.Owners == nil {
		return "", false
	}
	if start, paged := call.Params["start"]; paged && start != 0 {
		return "", false
	}
	v, err := php.FromGo(call.without().Params)
	a, isArray := v.(*php.Array)
	vars := 0
	if err != nil || !isArray || !fitsQuery(a, 1, &vars) || isReference(call.Many.Owner) || vars+maxOwners > maxVars {
		return "", false
	}
	return call.Method + "?" + php.BuildQuery(a) + "#" + call.Many.Key, true
}

// without is the call for the rows of all owners.
func (c Call) without() Call {
	filter, _ := c.Params[c.Many.Param].(map[string]any)
	filter = maps.Clone(filter)
	delete(filter, c.Many.Key)
	params := maps.Clone(c.Params)
	if params[c.Many.Param] = filter; len(filter) == 0 {
		delete(params, c.Many.Param)
	}
	c.Params = params
	return c
}

// forOwners is the call for the rows of several owners.
func (c Call) forOwners(f form, owners []string) Call {
	out := c.without()
	filter, _ := out.Params[c.Many.Param].(map[string]any)
	if filter == nil {
		filter = map[string]any{}
		out.Params[c.Many.Param] = filter
	}
	if f == byRange {
		filter[c.Many.From], filter[c.Many.To] = span(owners)
		return out
	}
	list := make([]any, len(owners))
	for i, o := range owners {
		list[i] = o
	}
	filter[cmp.Or(c.Many.List, c.Many.Key)] = list
	return out
}

// span returns the least and the greatest of numbers of one length.
func span(owners []string) (from, to string) { return slices.Min(owners), slices.Max(owners) }

// number reads an owner that can stand in a range.
func number(owner string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(owner, 10, 63)
	return n, err == nil && n > 0 && strconv.FormatUint(n, 10) == owner
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

// rowsAnswer is an answer with all rows of one owner.
func rowsAnswer(wrapper string, rows []json.RawMessage) Answer {
	list := append(append([]byte{'['}, bytes.Join(asBytes(rows), []byte{','})...), ']')
	if wrapper != "" {
		name, _ := json.Marshal(wrapper) // text can always be written
		list = append(append(append(append([]byte{'{'}, name...), ':'), list...), '}')
	}
	return Answer{Result: list, Total: len(rows), Next: -1}
}

func asBytes(rows []json.RawMessage) [][]byte {
	out := make([][]byte, len(rows))
	for i, r := range rows {
		out[i] = r
	}
	return out
}
