package bitrix

import (
	"context"
	"encoding/json"
	"maps"
	"runtime"
	"slices"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
)

// do makes a listing call that may share a command with the same call for other
// owners.
func (m *merger) do(ctx context.Context, call Call) Answer {
	plain := call
	plain.Many = nil
	key, ok := mergeKey(call)
	if !ok {
		return m.sender.do(ctx, plain)[0]
	}
	w := &waiter{call: call, done: make(chan merged, 1)}
	start, of, unmerged := m.join(key, w)
	if unmerged {
		return m.sender.do(ctx, plain)[0]
	}
	if start != nil {
		m.start(of, start)
	}
	select {
	case r := <-w.done:
		if !r.unmerged {
			return r.answer
		}
		return m.sender.do(ctx, plain)[0]
	case <-ctx.Done():
		return noAnswer(callerGaveUp(ctx.Err()).of(call.Method))
	}
}

// start sends a merged call. It runs on when callers that joined it give up.
func (m *merger) start(of *merge, k *mergedCall) {
	m.work.Go(func() {
		found, useful, again := m.send(of, k)
		for _, next := range m.ended(of, k, found, useful, again) {
			m.start(of, next)
		}
	})
}

// send makes a merged call, hands out the answers and returns what they show of
// the portal. useful says that the callers have their answers; again are those
// who still need one and may share a command.
func (m *merger) send(of *merge, k *mergedCall) (found verdict, useful bool, again []*waiter) {
	call, answer := m.sendLate(of, k)
	if call.Method == "" { // it never left
		m.seal(of, k)
		k.all(merged{answer: answer})
		return unsure, true, nil
	}
	if k.owners == 1 {
		if answer.Err == nil {
			m.learn(of, answer.Total, 1)
		}
		k.all(merged{answer: answer})
		return unsure, true, nil
	}
	if answer.Err != nil {
		found, useful = k.failed(answer)
		return found, useful, nil
	}
	if k.whole {
		return m.answerFromAll(of, k, call, answer)
	}
	found, useful = m.answerFromOwners(of, k, call, answer)
	if !useful {
		k.all(merged{unmerged: true})
	}
	return found, useful, nil
}

// sendLate sends a merged call, which others may join until it leaves. It
// returns the call that left. Several callers wait for it, so it does not wait
// behind their other calls.
func (m *merger) sendLate(of *merge, k *mergedCall) (left Call, answer Answer) {
	cmd, err := k.first.command()
	if err != nil {
		return left, noAnswer(err)
	}
	if cmd.Rank != batch.Background {
		cmd.Rank = batch.Immediate
	}
	if k.urgent {
		cmd.Rank = min(cmd.Rank, batch.Probe)
		if k.first.background {
			cmd.Rank = batch.Background
		}
		cmd.Urgent = func() bool { return m.severalWait(of, k) }
	}
	cmd.Late = func() (batch.Command, error) {
		left = m.seal(of, k)
		return batch.NewCommand(left.Method, left.Params)
	}
	answer = m.sender.send(m.life, k.first, cmd) // sets left
	return left, answer
}

// answerFromOwners hands out the rows of the owners that were asked for.
func (m *merger) answerFromOwners(of *merge, k *mergedCall, call Call, answer Answer) (found verdict, useful bool) {
	rows, err := DecodeRows(call.Method, answer, call.Many.Wrapper)
	if _, strangers := k.split(rows); err == nil && strangers { // before the further pages of rows that no caller asked for
		return refuted, false
	}
	rows, ok := m.allRows(call, answer)
	if !ok {
		return unsure, false
	}
	byOwner, strangers := k.split(rows)
	switch {
	case strangers:
		return refuted, false
	case k.probe && len(byOwner) < 2:
		// A portal that reads only the first owner, or takes a list for a number,
		// returns the rows of one owner at most.
		return unsure, false
	}
	if !k.probe && len(byOwner) < 2 && !m.stillTakes(of, k) {
		return unsure, false
	}
	k.distribute(byOwner)
	m.learn(of, len(rows), len(byOwner))
	m.remember(of, k, slices.Collect(maps.Keys(byOwner)))
	return proven, true
}

// answerFromAll hands out the rows of all owners when they are one page. When
// they are more, it finds out which form the portal takes.
func (m *merger) answerFromAll(of *merge, k *mergedCall, call Call, answer Answer) (found verdict, useful bool, again []*waiter) {
	rows, more, err := FirstPage(call.Method, answer, call.Many.Wrapper)
	if err != nil {
		k.all(merged{unmerged: true})
		return unsure, false, nil
	}
	if !more {
		byOwner, _ := k.split(rows)
		k.distribute(byOwner)
		return unsure, true, nil
	}
	m.learn(of, len(rows), max(1, len(k.ownersOf(rows))-1)) // the last one may have more rows on the next page
	found = m.askWitnesses(of, k, rows)
	if found == refuted && k.next() == byRange {
		m.ended(of, &mergedCall{form: k.form, first: k.first}, refuted, true, nil)
		k.form = byRange
		found = m.askWitnesses(of, k, rows)
	}
	if found == unsure {
		k.all(merged{unmerged: true})
		return unsure, false, nil
	}
	return found, true, k.waiters
}

// all gives every waiter the same.
func (k *mergedCall) all(r merged) {
	for _, w := range k.waiters {
		w.done <- r
	}
}

// distribute gives every waiter the rows of its owner. Each may work with them before the next
// one gets its own: a line of 50 that are ready would keep events waiting for the processors.
func (k *mergedCall) distribute(byOwner map[string][]json.RawMessage) {
	for _, w := range k.waiters {
		w.done <- merged{answer: rowsAnswer(w.call.Many.Wrapper, byOwner[w.call.Many.Owner])}
		runtime.Gosched()
	}
}

// failed hands out an error. A temporary one is everybody's. With another one
// the portal may mean the form, or one of the owners: each caller then asks
// alone.
func (k *mergedCall) failed(answer Answer) (found verdict, useful bool) {
	e, ok := answer.Err.(*Error) //nolint:errorlint // an Answer has this type of error
	if !ok || e.Temporary() || e.Outcome != Executed {
		k.all(merged{answer: answer})
		return unsure, true
	}
	k.all(merged{unmerged: true})
	if k.whole || e.code() == "ACCESS_DENIED" || IsNotFound(e) {
		return unsure, false // these say nothing about the form
	}
	return refuted, false
}

// allRows reads the further pages of an answer. ok is false when the pages do
// not fit together.
func (m *merger) allRows(call Call, first Answer) (rows []json.RawMessage, ok bool) {
	p := pages{method: call.Method, wrapper: call.Many.Wrapper}
	if p.add(first, 0) != nil {
		return nil, false
	}
	call.Many = nil
	err := p.follow(call, maxMergedRows, func(calls ...Call) []Answer { return m.sender.do(m.life, calls...) })
	return p.rows, err == nil && len(p.rows) <= maxMergedRows
}

// split sorts rows by the owners that were asked for. strangers says that some
// rows would not be there if the portal had applied the filter.
func (k *mergedCall) split(rows []json.RawMessage) (byOwner map[string][]json.RawMessage, strangers bool) {
	asked := make(map[string]bool, len(k.waiters))
	for _, w := range k.waiters {
		asked[w.call.Many.Owner] = true
	}
	within := func(owner string) bool { return asked[owner] }
	if k.form == byRange {
		from, to := span(k.distinct())
		within = func(owner string) bool { return len(owner) == len(from) && from <= owner && owner <= to }
	}
	byOwner = make(map[string][]json.RawMessage, len(k.waiters))
	for _, row := range rows {
		known := false
		for _, owner := range k.waiters[0].call.Many.Owners(row) {
			known = known || within(owner)
			if asked[owner] {
				byOwner[owner] = append(byOwner[owner], row)
			}
		}
		strangers = strangers || !known
	}
	return byOwner, strangers
}
