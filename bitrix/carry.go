package bitrix

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// askMany makes a call that may share a command with those of other owners.
func (c *Client) askMany(ctx context.Context, call Call) Answer {
	plain := call
	plain.Many = nil
	key, ok := mergeKey(call)
	if !ok {
		return c.Do(ctx, plain)[0]
	}
	a := &ask{call: call, done: make(chan asked, 1)}
	start, of, alone := c.many.join(key, a)
	if alone {
		return c.Do(ctx, plain)[0]
	}
	if start != nil {
		c.start(of, start)
	}
	select {
	case r := <-a.done:
		if !r.alone {
			return r.answer
		}
		return c.Do(ctx, plain)[0]
	case <-ctx.Done():
		return noAnswer(gaveUp(ctx.Err(), NotExecuted).of(call.Method))
	}
}

// start sends a carrier. It belongs to nobody: whoever joined may give up.
func (c *Client) start(of *merge, k *carrier) {
	c.many.work.Go(func() {
		told, useful, again := c.carry(of, k)
		for _, next := range c.many.ended(of, k, told, useful, again) {
			c.start(of, next)
		}
	})
}

// carry makes the call of a carrier, hands out the answers and returns what
// they tell of the portal. useful says that the answer was handed out; again
// are those who still need one and may share a command.
func (c *Client) carry(of *merge, k *carrier) (told verdict, useful bool, again []*ask) {
	var call Call
	var probe func() bool
	if k.rushes {
		probe = func() bool { return c.many.wanted(of, k) }
	}
	answer := c.doLate(k.first, probe, func() Call {
		call = c.many.seal(of, k)
		return call
	})
	if call.Method == "" { // it never left
		c.many.seal(of, k)
		k.all(asked{answer: answer})
		return unsure, true, nil
	}
	if k.owners == 1 {
		if answer.Err == nil {
			c.many.learn(of, answer.Total, 1)
		}
		k.all(asked{answer: answer})
		return unsure, true, nil
	}
	if answer.Err != nil {
		told, useful = k.failed(answer)
		return told, useful, nil
	}
	if k.whole {
		return c.carryWhole(of, k, call, answer)
	}
	told, useful = c.carrySome(of, k, call, answer)
	if !useful {
		k.all(asked{alone: true})
	}
	return told, useful, nil
}

// carrySome hands out the rows of the owners that were asked for.
func (c *Client) carrySome(of *merge, k *carrier, call Call, answer Answer) (told verdict, useful bool) {
	rows, err := pageRows(call.Method, answer, call.Many.Wrapper)
	if _, strangers := k.split(rows); err == nil && strangers { // before the further pages of what nobody asked for are read
		return refuted, false
	}
	rows, ok := c.allRows(call, answer)
	if !ok {
		return unsure, false
	}
	byOwner, strangers := k.split(rows)
	switch {
	case strangers:
		return refuted, false
	case k.probe && len(byOwner) < 2:
		// A portal that looks at the first owner alone, or takes a list for a
		// number, returns the rows of one at most.
		return unsure, false
	}
	k.handOut(byOwner)
	c.many.learn(of, len(rows), len(byOwner))
	return proven, true
}

// carryWhole hands out the rows of all owners, when they are one page, and
// finds the form out when they are more.
func (c *Client) carryWhole(of *merge, k *carrier, call Call, answer Answer) (told verdict, useful bool, again []*ask) {
	rows, err := pageRows(call.Method, answer, call.Many.Wrapper)
	if err != nil {
		k.all(asked{alone: true})
		return unsure, false, nil
	}
	if answer.Next < 0 && (answer.Total < 0 || answer.Total == len(rows)) {
		byOwner, _ := k.split(rows)
		k.handOut(byOwner)
		return unsure, true, nil
	}
	c.many.learn(of, len(rows), max(1, len(k.ownersOf(rows))-1)) // the last one's may go on
	told = c.askWitnesses(k, rows)
	if told == refuted && k.next() == byRange {
		c.many.ended(of, &carrier{form: k.form, first: k.first}, refuted, true, nil)
		k.form = byRange
		told = c.askWitnesses(k, rows)
	}
	if told == unsure {
		k.all(asked{alone: true})
		return unsure, false, nil
	}
	return told, true, k.asks
}

// all gives everybody the same.
func (k *carrier) all(r asked) {
	for _, a := range k.asks {
		a.done <- r
	}
}

// handOut gives everybody the rows of the owner.
func (k *carrier) handOut(byOwner map[string][]json.RawMessage) {
	for _, a := range k.asks {
		a.done <- asked{answer: rowsAnswer(a.call.Many.Wrapper, byOwner[a.call.Many.Owner])}
	}
}

// failed hands out an error. One that passes is everybody's. With another the
// portal may mean the form, or one of the owners: each asks for itself.
func (k *carrier) failed(answer Answer) (told verdict, useful bool) {
	e, ok := answer.Err.(*Error) //nolint:errorlint // an Answer has this type of error
	if !ok || e.Temporary() || e.Outcome != Executed {
		k.all(asked{answer: answer})
		return unsure, true
	}
	k.all(asked{alone: true})
	if k.whole || e.code() == "ACCESS_DENIED" || IsNotFound(e) {
		return unsure, false // that is not about the form
	}
	return refuted, false
}

// allRows reads the further pages of an answer. ok is false when the pages do
// not fit together.
func (c *Client) allRows(call Call, first Answer) (rows []json.RawMessage, ok bool) {
	rows, err := pageRows(call.Method, first, call.Many.Wrapper)
	if err != nil || first.Total > maxCarried {
		return nil, false
	}
	if first.Next > 0 {
		if first.Total <= 0 {
			return nil, false
		}
		var pages []Call
		for start := first.Next; start < first.Total; start += pageSize {
			next := page(call, start)
			next.Many = nil
			pages = append(pages, next)
		}
		for _, a := range c.Do(c.life, pages...) {
			more, err := pageRows(call.Method, a, call.Many.Wrapper)
			if err != nil || a.Total != first.Total {
				return nil, false
			}
			rows = append(rows, more...)
		}
	}
	return rows, first.Total < 0 || len(rows) == first.Total
}

// split sorts rows by the owners that were asked for. strangers says that there
// are rows which the portal would not send if it applied the filter.
func (k *carrier) split(rows []json.RawMessage) (byOwner map[string][]json.RawMessage, strangers bool) {
	wanted := make(map[string]bool, len(k.asks))
	for _, a := range k.asks {
		wanted[a.call.Many.Owner] = true
	}
	within := func(owner string) bool { return wanted[owner] }
	if k.form == byRange {
		from, to := span(k.distinct())
		within = func(owner string) bool { return len(owner) == len(from) && from <= owner && owner <= to }
	}
	byOwner = make(map[string][]json.RawMessage, len(k.asks))
	for _, row := range rows {
		known := false
		for _, owner := range k.asks[0].call.Many.Owners(row) {
			known = known || within(owner)
			if wanted[owner] {
				byOwner[owner] = append(byOwner[owner], row)
			}
		}
		strangers = strangers || !known
	}
	return byOwner, strangers
}

// askWitnesses finds out whether the portal takes a carrier's form: it asks for
// two owners of which rows have been seen. The rows of both, and of nobody else,
// prove it: a portal that looks at the first owner alone, takes a list for a
// number or leaves an end of a range out does not return them.
func (c *Client) askWitnesses(k *carrier, rows []json.RawMessage) verdict {
	two := k.witnesses(rows)
	if two == nil {
		return unsure
	}
	w := &carrier{form: k.form}
	for _, owner := range two {
		one := *k.first.Many
		one.Owner = owner
		call := k.first
		call.Many = &one
		w.asks = append(w.asks, &ask{call: call})
	}
	call := k.first.forOwners(k.form, two)
	call.Many = nil
	g := newGroup([]Call{call})
	g.probe = func() bool { return true }
	answer := c.await(c.life, g)[0]
	if e, ok := answer.Err.(*Error); ok { //nolint:errorlint // an Answer has this type of error
		if e.Temporary() || e.Outcome != Executed {
			return unsure
		}
		return refuted
	}
	rows, err := pageRows(call.Method, answer, k.first.Many.Wrapper)
	if err != nil {
		return unsure
	}
	found, strangers := w.split(rows)
	switch {
	case strangers:
		return refuted
	case answer.Next > 0:
		return unsure // strangers, or the other one's rows, may be on the next page
	case len(found) == 2:
		return proven
	}
	return refuted
}

// ownersOf returns the owners of rows in the order of numbers, each once. For a
// range they are numbers.
func (k *carrier) ownersOf(rows []json.RawMessage) []string {
	var owners []string
	for _, row := range rows {
		for _, owner := range k.first.Many.Owners(row) {
			if _, ok := number(owner); owner != "" && (ok || k.form == byList) {
				owners = append(owners, owner)
			}
		}
	}
	slices.SortFunc(owners, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return slices.Compact(owners)
}

// witnesses chooses two owners of rows, nil when there are none. For a range
// they are the nearest ones, so that little lies between them.
func (k *carrier) witnesses(rows []json.RawMessage) []string {
	owners := k.ownersOf(rows)
	if k.form == byList {
		if len(owners) < 2 {
			return nil
		}
		return owners[:2]
	}
	var best []string
	var least uint64
	for i := range len(owners) - 1 {
		a, _ := number(owners[i])
		b, _ := number(owners[i+1])
		if len(owners[i]) == len(owners[i+1]) && (best == nil || b-a < least) {
			best, least = owners[i:i+2], b-a
		}
	}
	return best
}
