package engine

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"b24rules/bitrix"
)

// Portal is what a run asks for and writes to. *bitrix.Client is one.
type Portal interface {
	// Do sends calls that are ready at the same time and returns their answers
	// in order.
	Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer
	// List reads all pages of a listing call.
	List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error)
	// ListFields describes the fields and properties of a universal list.
	ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error)
	// ItemFields describes the fields of a CRM type.
	ItemFields(ctx context.Context, entityTypeID int) (*bitrix.ItemFields, error)
}

// defaultCalls is the limit of REST commands of one run.
const defaultCalls = 10_000

// meter is the portal of one run: it counts commands and stops a run that
// sends too many.
type meter struct {
	Portal
	limit  int64
	calls  atomic.Int64
	writes atomic.Int64
	guard  *LoopGuard
	run    *Run
}

// Do counts the calls and passes them on.
func (m *meter) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	fail := func(err error) []bitrix.Answer {
		out := make([]bitrix.Answer, len(calls))
		for i := range out {
			out[i] = bitrix.Answer{Total: -1, Next: -1, Err: err}
		}
		return out
	}
	if n := m.calls.Add(int64(len(calls))); n > m.limit {
		return fail(ParkError("the run would send %d REST commands, its limit is %d", n, m.limit))
	}
	if err := m.guard.check(m.run, calls); err != nil {
		return fail(err)
	}
	answers := m.Portal.Do(ctx, calls...)
	for i, c := range calls {
		if c.Write && answers[i].Err == nil {
			m.writes.Add(1)
		}
	}
	m.guard.note(m.run, calls, answers)
	return answers
}

// List counts as one command; its further pages travel with it.
func (m *meter) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	if n := m.calls.Add(1); n > m.limit {
		return nil, ParkError("the run would send %d REST commands, its limit is %d", n, m.limit)
	}
	return m.Portal.List(ctx, call, wrapper)
}
