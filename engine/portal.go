package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
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
	// ListChanged is when a universal list was changed, as the portal writes
	// dates.
	ListChanged(ctx context.Context, iblockType string, iblockID int) (string, error)
	// ItemFields describes the fields of a CRM type.
	ItemFields(ctx context.Context, entityTypeID int) (*bitrix.ItemFields, error)
}

// DefaultCalls is the limit of REST commands of one run.
const DefaultCalls = 10_000

// usage is what all steps of a run have asked of its portal.
type usage struct {
	limit  int64
	calls  atomic.Int64
	writes atomic.Int64
}

// meter is the portal of one step: it counts commands, keeps them for the
// history and stops a run that sends too many.
type meter struct {
	Portal
	usage *usage
	guard *LoopGuard
	run   *Run
	trace *Trace
	step  *StepTrace // nil before the first
	// beside says that other steps are asking, too.
	beside bool
}

// portal is the run's portal for a step.
func (x *execution) portal(t *StepTrace) *meter {
	m := &meter{Portal: x.run.Client, usage: x.usage, guard: x.run.Guard, run: x.run, trace: x.trace, step: t, beside: len(x.ahead) > 0}
	if x.run.DryRun != nil {
		name := ""
		if t != nil {
			name = t.Step
		}
		m.Portal = x.run.DryRun.Over(x.run.Client, name)
	}
	return m
}

// forget takes back that a call was counted: it was not sent.
func (m *meter) forget() {
	m.usage.calls.Add(-1)
	m.trace.count(m.step, -1, 0)
}

// ask counts calls that are about to be sent, and refuses too many.
func (m *meter) ask(calls int) error {
	m.trace.count(m.step, calls, 0)
	if n := m.usage.calls.Add(int64(calls)); n > m.usage.limit {
		return ParkError("the run would send %d REST commands, its limit is %d", n, m.usage.limit)
	}
	return nil
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
	if err := m.ask(len(calls)); err != nil {
		return fail(err)
	}
	if err := m.guard.check(m.run, calls); err != nil {
		return fail(err)
	}
	started := time.Now()
	if m.beside {
		calls = slices.Clone(calls)
		for i := range calls {
			calls[i].Beside = true
		}
	}
	answers := m.Portal.Do(ctx, calls...)
	took := time.Since(started)
	for i, c := range calls {
		a := &answers[i]
		if errors.Is(a.Err, bitrix.ErrStale) {
			m.forget()
			continue
		}
		if c.Write && a.Err == nil {
			m.usage.writes.Add(1)
			m.trace.count(m.step, 0, 1)
		}
		m.trace.note(m.step, commandTrace{call: c, result: a.Result, listed: a.Total, batch: a.Batch, err: a.Err, took: took})
	}
	m.guard.note(m.run, calls, answers)
	return answers
}

// List counts as one command; its further pages travel with it.
func (m *meter) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	if err := m.ask(1); err != nil {
		return nil, err
	}
	call.Beside = m.beside
	started := time.Now()
	rows, err := m.Portal.List(ctx, call, wrapper)
	if rows == nil {
		rows = []json.RawMessage{}
	}
	m.trace.note(m.step, commandTrace{call: call, rows: rows, listed: len(rows), err: err, took: time.Since(started)})
	return rows, err
}

// ListFields describes a list. What the client remembers is no command.
func (m *meter) ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error) {
	started := time.Now()
	f, err := m.Portal.ListFields(ctx, iblockType, iblockID)
	if err != nil {
		m.noteFailure("lists.field.get", map[string]any{"IBLOCK_TYPE_ID": iblockType, "IBLOCK_ID": iblockID}, err, started)
	} else {
		m.trace.noteList(iblockID, f)
	}
	return f, err
}

// ItemFields describes a CRM type. What the client remembers is no command.
func (m *meter) ItemFields(ctx context.Context, entityTypeID int) (*bitrix.ItemFields, error) {
	started := time.Now()
	f, err := m.Portal.ItemFields(ctx, entityTypeID)
	if err != nil {
		m.noteFailure("crm.item.fields", map[string]any{"entityTypeId": entityTypeID}, err, started)
	} else {
		m.trace.noteType(entityTypeID, f)
	}
	return f, err
}

func (m *meter) noteFailure(method string, params map[string]any, err error, started time.Time) {
	m.trace.note(m.step, commandTrace{call: bitrix.Call{Method: method, Params: params}, listed: -1, err: err, took: time.Since(started)})
}
