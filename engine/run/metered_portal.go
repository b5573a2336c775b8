package run

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// usage counts the commands of all steps of a run.
type usage struct {
	limit  int64
	calls  atomic.Int64
	writes atomic.Int64
}

// meter is the portal of one step. It counts commands, adds them to the history and
// stops a run that sends too many.
type meter struct {
	engine.Portal
	usage *usage
	guard *LoopGuard
	run   *Run
	trace *history.Trace
	step  *history.StepTrace // nil before the first
	// parallel says that other steps of the run may send commands at the same time.
	parallel bool
}

// portal is the run's portal for a step.
func (x *execution) portal(t *history.StepTrace) *meter {
	m := &meter{Portal: x.run.Client, usage: x.usage, guard: x.run.Guard, run: x.run, trace: x.trace, step: t, parallel: len(x.prefetched) > 0}
	if x.run.DryRun != nil {
		m.guard = nil
		name := ""
		if t != nil {
			name = t.Step
		}
		m.Portal = x.run.DryRun.Over(x.run.Client, name)
	}
	return m
}

// forget subtracts a call that was counted but not sent, or that all runs share.
func (m *meter) forget() {
	m.usage.calls.Add(-1)
	m.trace.Count(m.step, -1, 0)
}

// ask counts calls before they are sent. It refuses those above the limit.
func (m *meter) ask(calls int) error {
	m.trace.Count(m.step, calls, 0)
	if n := m.usage.calls.Add(int64(calls)); n > m.usage.limit {
		return engine.ParkErrorOf("limits.calls", "the run would send %d REST commands, but its limit is %d", n, m.usage.limit)
	}
	return nil
}

// Do counts the calls and sends them.
func (m *meter) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	fail := func(err error) []bitrix.Answer {
		out := make([]bitrix.Answer, len(calls))
		for i := range out {
			out[i] = bitrix.Answer{Total: -1, Next: -1, Err: err}
		}
		return out
	}
	if err := m.ask(len(calls)); err != nil {
		return fail(err)
	}
	if err := m.guard.check(m.run, calls); err != nil {
		return fail(err)
	}
	started := time.Now()
	if m.parallel {
		calls = slices.Clone(calls)
		for i := range calls {
			calls[i].Parallel = true
		}
	}
	answers := m.Portal.Do(ctx, calls...)
	took := time.Since(started)
	for i, c := range calls {
		a := &answers[i]
		if c.Shared && a.Err == nil {
			m.forget() // like ListFields
			continue
		}
		if errors.Is(a.Err, bitrix.ErrStale) {
			m.forget()
			continue
		}
		if c.Write && a.Err == nil {
			m.usage.writes.Add(1)
			m.trace.Count(m.step, 0, 1)
		}
		m.trace.Add(m.step, history.Command{Call: c, Result: a.Result, Listed: a.Total, Batch: a.Batch, Err: a.Err, Took: took})
	}
	m.guard.note(m.run, calls, answers)
	return answers
}

// List counts as one command, however many pages it reads.
func (m *meter) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	if err := m.ask(1); err != nil {
		return nil, err
	}
	call.Parallel = m.parallel
	started := time.Now()
	rows, err := m.Portal.List(ctx, call, wrapper)
	if rows == nil {
		rows = []json.RawMessage{}
	}
	m.trace.Add(m.step, history.Command{Call: call, Rows: rows, Listed: len(rows), Err: err, Took: time.Since(started)})
	return rows, err
}

// ListFields describes a list. It does not count as a command, because the client caches
// descriptions.
func (m *meter) ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error) {
	started := time.Now()
	f, err := m.Portal.ListFields(ctx, iblockType, iblockID)
	if err != nil {
		m.noteFailure("lists.field.get", map[string]any{"IBLOCK_TYPE_ID": iblockType, "IBLOCK_ID": iblockID}, err, started)
	} else {
		m.trace.AddList(iblockID, f)
	}
	return f, err
}

// ItemFields describes a CRM type. It does not count as a command, because the client
// caches descriptions.
func (m *meter) ItemFields(ctx context.Context, entityTypeID int) (*bitrix.ItemFields, error) {
	started := time.Now()
	f, err := m.Portal.ItemFields(ctx, entityTypeID)
	if err != nil {
		m.noteFailure("crm.item.fields", map[string]any{"entityTypeId": entityTypeID}, err, started)
	} else {
		m.trace.AddType(entityTypeID, f)
	}
	return f, err
}

func (m *meter) noteFailure(method string, params map[string]any, err error, started time.Time) {
	m.trace.Add(m.step, history.Command{Call: bitrix.Call{Method: method, Params: params}, Listed: -1, Err: err, Took: time.Since(started)})
}
