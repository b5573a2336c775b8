package bitrix

import (
	"context"
	"encoding/json"
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
		told, useful := c.carry(of, k)
		for _, next := range c.many.ended(of, told, useful) {
			c.start(of, next)
		}
	})
}

// carry makes the call of a carrier, hands out the answers and returns what
// they tell of the portal. useful says that the answer was handed out.
func (c *Client) carry(of *merge, k *carrier) (told kind, useful bool) {
	var call Call
	answer := c.doLate(k.first, func() Call {
		call = c.many.seal(k)
		return call
	})
	if call.Method == "" { // it never left
		c.many.seal(k)
	}
	if k.owners == 1 || call.Method == "" {
		if answer.Err == nil && answer.Total >= 0 {
			c.many.learn(of, answer.Total, 1)
		}
		k.all(asked{answer: answer})
		return unsure, true
	}
	if answer.Err != nil {
		return k.failed(answer), false
	}
	rows, err := pageRows(call.Method, answer, call.Many.Wrapper)
	_, strangers := k.split(rows)
	if err == nil && strangers { // before the further pages of what nobody asked for are read
		k.all(asked{alone: true})
		return takesOne, false
	}
	rows, ok := c.allRows(call, answer)
	if !ok {
		k.all(asked{alone: true})
		return unsure, false
	}
	byOwner, strangers := k.split(rows)
	told = takesOne
	if !strangers {
		told, useful = c.judge(of, call, byOwner)
	}
	if !useful {
		k.all(asked{alone: true})
		return told, false
	}
	c.many.learn(of, len(rows), k.owners)
	for _, a := range k.asks {
		a.done <- asked{answer: rowsAnswer(a.call.Many.Wrapper, byOwner[a.call.Many.Owner])}
	}
	return told, true
}

// all gives everybody the same.
func (k *carrier) all(r asked) {
	for _, a := range k.asks {
		a.done <- r
	}
}

// failed hands out an error. One that passes is everybody's. With another the
// portal may mean the list of owners, or one of them: each asks for itself.
func (k *carrier) failed(answer Answer) kind {
	e, ok := answer.Err.(*Error) //nolint:errorlint // an Answer has this type of error
	if !ok || e.Temporary() || e.Outcome != Executed {
		k.all(asked{answer: answer})
		return unsure
	}
	k.all(asked{alone: true})
	if e.code() == "ACCESS_DENIED" || IsNotFound(e) {
		return unsure // that is about one of the owners
	}
	return takesOne
}

// allRows reads the further pages of an answer. ok is false when the pages do
// not fit together.
func (c *Client) allRows(call Call, first Answer) (rows []json.RawMessage, ok bool) {
	rows, err := pageRows(call.Method, first, call.Many.Wrapper)
	if err != nil || first.Total > maxRows {
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

// split sorts rows by their owners. strangers says that there are rows nobody
// asked for: the portal does not apply the filter.
func (k *carrier) split(rows []json.RawMessage) (byOwner map[string][]json.RawMessage, strangers bool) {
	wanted := make(map[string]bool, len(k.asks))
	for _, a := range k.asks {
		wanted[a.call.Many.Owner] = true
	}
	byOwner = make(map[string][]json.RawMessage, len(k.asks))
	for _, row := range rows {
		known := false
		for _, owner := range k.asks[0].call.Many.Owners(row) {
			if wanted[owner] {
				known = true
				byOwner[owner] = append(byOwner[owner], row)
			}
		}
		strangers = strangers || !known
	}
	return byOwner, strangers
}

// judge decides whether the portal takes lists of owners, and whether the answer
// that it has given can be believed. Rows of two owners, and of no others, prove
// it: a portal that looks at the first owner alone, or takes a list for a
// number, returns those of one at most. When the asked owners have too few rows
// to tell, two others that have some are asked for. When there are none for
// anybody, the answer is right whatever the portal does.
func (c *Client) judge(of *merge, call Call, byOwner map[string][]json.RawMessage) (told kind, sure bool) {
	c.many.mu.Lock()
	known := of.kind
	c.many.mu.Unlock()
	if known == takesMany || len(byOwner) >= 2 {
		return takesMany, true
	}
	if !call.Many.Bare {
		return unsure, false
	}
	rows, err := c.someRows(call.without())
	if err != nil {
		return unsure, false
	}
	if len(rows) == 0 {
		return unsure, len(byOwner) == 0
	}
	told = c.askWitnesses(call, rows)
	return told, told == takesMany
}

// askWitnesses asks for two owners of which rows have been seen.
func (c *Client) askWitnesses(call Call, rows []json.RawMessage) kind {
	witnesses := &carrier{}
	seen := map[string]bool{}
	for _, row := range rows {
		for _, owner := range call.Many.Owners(row) {
			if owner == "" || seen[owner] || len(witnesses.asks) == 2 {
				continue
			}
			seen[owner] = true
			one := *call.Many
			one.Owner = owner
			w := call
			w.Many = &one
			witnesses.asks = append(witnesses.asks, &ask{call: w})
		}
	}
	if len(witnesses.asks) < 2 {
		return unsure
	}
	rows, err := c.someRows(c.many.seal(witnesses))
	if err != nil {
		return takesOne
	}
	found, strangers := witnesses.split(rows)
	switch {
	case strangers:
		return takesOne
	case len(found) == 2:
		return takesMany
	case len(rows) >= pageSize:
		return unsure // the other one's may be on the next page
	}
	return takesOne
}

// someRows reads the first page of a listing.
func (c *Client) someRows(call Call) ([]json.RawMessage, error) {
	wrapper := call.Many.Wrapper
	call.Many = nil
	return pageRows(call.Method, c.Do(c.life, call)[0], wrapper)
}
