package bitrix

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
)

// askWitnesses finds out whether the portal takes a form: it asks for two owners
// of which it has seen rows.
func (m *merger) askWitnesses(of *merge, k *mergedCall, rows []json.RawMessage) verdict {
	two := k.witnesses(k.ownersOf(rows))
	if two == nil {
		return unsure
	}
	found := m.askPair(of, k, two, batch.Probe, nil)
	if found == proven {
		m.remember(of, k, two)
	}
	return found
}

// askPair asks for two owners that have rows. The rows of both, and of no other owner,
// prove the form. A portal that reads only the first owner, takes a list for a number or
// ignores an end of a range does not return them. leaves is called when the command leaves;
// with nil, the command is urgent.
func (m *merger) askPair(of *merge, k *mergedCall, two []string, rank batch.Rank, leaves func()) verdict {
	pair := &mergedCall{form: k.form}
	for _, owner := range two {
		one := *k.first.Many
		one.Owner = owner
		call := k.first
		call.Many = &one
		pair.waiters = append(pair.waiters, &waiter{call: call})
	}
	call := k.first.forOwners(k.form, two)
	call.Many = nil
	cmd, err := call.command()
	if err != nil {
		return unsure
	}
	if cmd.Rank != batch.Background {
		cmd.Rank = rank
	}
	if leaves == nil {
		cmd.Urgent = func() bool { return true }
	} else {
		cmd.Late = func() (batch.Command, error) {
			leaves()
			return batch.NewCommand(call.Method, call.Params)
		}
	}
	answer := m.sender.send(m.life, call, cmd)
	if e, ok := answer.Err.(*Error); ok { //nolint:errorlint // an Answer has this type of error
		if e.Temporary() || e.Outcome != Executed {
			return unsure
		}
		return refuted
	}
	rows, more, err := FirstPage(call.Method, answer, k.first.Many.Wrapper)
	if err != nil {
		return unsure
	}
	found, strangers := pair.split(rows)
	switch {
	case strangers:
		return refuted
	case more:
		return unsure // the next page may have strangers, or the other owner's rows
	case len(found) == 2:
		m.learn(of, len(rows), 2) // more exactly than a page, which may have a part of the rows of each
		return proven
	}
	return refuted
}

// check asks once whether the portal still takes a form. All answers that came before it
// leaves share it.
type check struct {
	done chan struct{}
	ok   bool
}

// stillTakes reports whether the portal still takes the form of an answer that has the rows
// of one owner at most. Perhaps the other owners have no rows. Or the portal no longer reads
// them, and then their rows would count as deleted. So it asks for two owners that had rows.
// If they do not come, the form has to be proven again.
func (m *merger) stillTakes(of *merge, k *mergedCall) bool {
	m.mu.Lock()
	if of.form != k.form || !of.proven || of.witnesses == nil {
		m.mu.Unlock()
		return false
	}
	c, two := of.check, of.witnesses
	if c != nil {
		m.mu.Unlock()
		<-c.done
		return c.ok
	}
	c = &check{done: make(chan struct{})}
	of.check = c
	m.mu.Unlock()
	defer close(c.done)
	left := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if of.check == c {
			of.check = nil
		}
	}
	defer left() // of a command that never leaves
	if c.ok = m.askPair(of, k, two, batch.Immediate, left) == proven; !c.ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		of.proven, of.witnesses = false, nil
	}
	return c.ok
}

// remember keeps two owners that have rows, for stillTakes.
func (m *merger) remember(of *merge, k *mergedCall, owners []string) {
	slices.SortFunc(owners, byNumber)
	two := k.witnesses(owners)
	if two == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if of.form == k.form {
		of.witnesses = two
	}
}

// byNumber compares owners as numbers.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// ownersOf returns the owners of rows in the order of numbers, each once. For a
// range they are numbers.
func (k *mergedCall) ownersOf(rows []json.RawMessage) []string {
	var owners []string
	for _, row := range rows {
		for _, owner := range k.first.Many.Owners(row) {
			if _, ok := number(owner); owner != "" && (ok || k.form == byList) {
				owners = append(owners, owner)
			}
		}
	}
	slices.SortFunc(owners, byNumber)
	return slices.Compact(owners)
}

// witnesses chooses two of the owners, which are in order, or nil when there are fewer. For
// a range they are the nearest ones, so that few lie between them.
func (k *mergedCall) witnesses(owners []string) []string {
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
