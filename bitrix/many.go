package bitrix

import (
	"bytes"
	"encoding/json"
	"maps"
	"sync"

	"b24rules/bitrix/php"
)

// Many says how a listing call for the rows of one owner becomes one for those
// of several, so that calls which wait at the same time share a command. A
// portal that does not take lists of owners is found out by its answers and
// asked for each owner; nobody has to know.
//
// The documentation gives crm.item.productrow.list and lists.element.get array
// filters, the server's source takes one owner in each call.
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
type Many struct {
	// Param is the parameter that holds the filter, and Key the owner's key in
	// it: "filter" and "=ownerId".
	Param, Key string
	// List is the key that a list of owners needs; "" when it is Key.
	List string
	// Wrapper is the key under which the rows stand in the result, "" when the
	// result is the bare list.
	Wrapper string
	// Owner is the owner as Owners writes it.
	Owner string
	// Owners tells whose a row is: usually one owner, several for a field with
	// several values. It must not depend on the call.
	Owners func(row json.RawMessage) []string
	// Bare says that the method may be asked without an owner. It helps to
	// find out the portal's kind while most owners have no rows.
	Bare bool
}

// Bounds of the owners in one command.
const (
	firstOwners = 20  // when nothing is known of them
	maxOwners   = 100 // far below maxVars; what is learned of some may not hold for others
	// fillRows is how many rows a command should bring: some fewer than a
	// page, so that a second one is seldom needed.
	fillRows = 45
	// maxTries is how many carriers may tell nothing until the portal is asked
	// for each owner.
	maxTries = 5
	// maxMerges bounds how many kinds of calls are remembered.
	maxMerges = 1000
)

// kind is what is known of a portal's answer to a list of owners.
type kind uint8

const (
	unsure kind = iota
	takesMany
	takesOne
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
	first  Call // of the one who started it
	asks   []*ask
	sealed bool
	owners int // when it is sealed
}

// merge gathers the calls that differ in nothing but their owner.
type merge struct {
	kind     kind
	open     *carrier // nil: the next ask makes a new one
	probing  bool     // a carrier is about to tell the kind
	waiting  []*ask   // for what it tells
	tries    int      // carriers that told nothing
	perOwner float64  // rows; below 0 when unknown
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
func (c Call) forOwners(owners []any) Call {
	out := c.without()
	filter, _ := out.Params[c.Many.Param].(map[string]any)
	if filter == nil {
		filter = map[string]any{}
		out.Params[c.Many.Param] = filter
	}
	key := c.Many.List
	if key == "" {
		key = c.Many.Key
	}
	filter[key] = owners
	return out
}

// join gives an ask its place: in a carrier, which it may have to start, or
// among those who wait for the portal's kind. It returns the carrier to start.
func (m *merger) join(key string, a *ask) (start *carrier, of *merge, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of = m.merges[key]
	if of == nil {
		if m.merges == nil || len(m.merges) >= maxMerges {
			m.merges = map[string]*merge{}
		}
		of = &merge{perOwner: -1}
		m.merges[key] = of
	}
	if m.closed || of.kind == takesOne {
		return nil, of, true
	}
	return of.seat(a), of, false
}

// seat is join for one merge, with the merger's lock held.
func (of *merge) seat(a *ask) (start *carrier) {
	if k := of.open; k != nil && !k.sealed && len(k.asks) < of.room() {
		k.asks = append(k.asks, a)
		return nil
	}
	if of.kind == unsure && of.probing {
		of.waiting = append(of.waiting, a)
		return nil
	}
	of.probing = of.kind == unsure
	of.open = &carrier{first: a.call, asks: []*ask{a}}
	return of.open
}

// room is how many owners a carrier takes.
func (of *merge) room() int {
	if of.perOwner < 0 {
		return firstOwners
	}
	return max(1, int(min(maxOwners, fillRows/max(of.perOwner, 0.01))))
}

// seal ends the joining and returns the call to send. A single owner's is sent
// as it is.
func (m *merger) seal(k *carrier) Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	k.sealed = true
	first := k.asks[0].call
	owners, seen := []any{}, map[string]bool{}
	for _, a := range k.asks {
		if owner := a.call.Many.Owner; !seen[owner] {
			seen[owner] = true
			owners = append(owners, owner)
		}
	}
	if k.owners = len(owners); k.owners == 1 {
		return first
	}
	return first.forOwners(owners)
}

// learn notes how many rows came for how many owners.
func (m *merger) learn(of *merge, rows, owners int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := float64(rows) / float64(owners)
	if of.perOwner >= 0 {
		now = (of.perOwner + now) / 2
	}
	of.perOwner = now
}

// ended notes what a carrier told of the portal, and whether it was of use at
// all, and gives those who wait their
// places. It returns the carriers to start.
func (m *merger) ended(of *merge, told kind, useful bool) (start []*carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if told != unsure {
		of.kind = told
	}
	if !of.probing {
		return nil
	}
	of.probing = false
	if told == unsure && !useful {
		if of.tries++; of.tries >= maxTries {
			of.kind = takesOne
		}
	}
	waiting := of.waiting
	of.waiting = nil
	for _, a := range waiting {
		if of.kind == takesOne || m.closed {
			a.done <- asked{alone: true}
			continue
		}
		if k := of.seat(a); k != nil {
			start = append(start, k)
		}
	}
	return start
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
