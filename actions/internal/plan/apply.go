package plan

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// write is one write of a plan.
type write struct {
	record  *Record      // nil for an addition
	desired *Desired     // nil for a deletion
	changed []FieldValue // of an update: the values that differ
}

// Target is where a plan is written: the elements of a list or the items of a
// CRM type.
type Target interface {
	// calls are the calls of a write. The last one writes.
	calls(w write) []bitrix.Call
	// judge returns the id of the record if the answers to calls say that the write is
	// done, otherwise an error.
	judge(w write, answers []bitrix.Answer) (id int, err error)
	// ending are reads that go behind the writes, in the same request if there is room.
	ending(writes []write) []bitrix.Call
	// verify looks at the answers to ending.
	verify(ctx context.Context, c *engine.Call, writes []write, answers []bitrix.Answer)
	// place is where the records are, for engine.Call.Made.
	place() string
	// finish tries the writes that are not done in other ways, repairs what the
	// others have damaged, and returns what failed.
	finish(ctx context.Context, c *engine.Call, open []undone, t *Tally) Failures
	// noun names the records in messages.
	noun() string
	// notes adds what was done to the history of the step.
	notes(c *engine.Call, p Plan, t Tally)
}

// isUpdate reports whether a write updates a record.
func (w write) isUpdate() bool { return w.record != nil && w.desired != nil }

// what says what the write does with the record.
func (w write) what() engine.MadeWhat {
	if w.desired == nil {
		return engine.MadeDeleted
	}
	return engine.MadeWritten
}

// NoRow is the Row of a Desired that does not come from a row.
const NoRow = -1

// failed adds the row of the write to an error.
func (w write) failed(err error) error {
	switch {
	case w.desired == nil || w.desired.Row == NoRow:
		return err
	case w.record == nil:
		return fmt.Errorf("row %d: %w", w.desired.Row+1, err)
	}
	return fmt.Errorf("row %d, %s: %w", w.desired.Row+1, w.record, err)
}

// undone is a write whose answer does not say that it is done.
type undone struct {
	write
	err error
}

// Tally counts the records that a step has written or kept.
type Tally struct{ Added, Updated, Deleted, Kept, Adopted int }

// count counts a write that is done.
func (t *Tally) count(w write) {
	switch {
	case w.record == nil:
		t.Added++
	case w.desired == nil:
		t.Deleted++
	default:
		t.Updated++
	}
}

// Apply sends all writes of a plan together. A failed write does not stop the
// others, and the next attempt finds those done.
func Apply(ctx context.Context, c *engine.Call, to Target, p Plan) (Tally, error) {
	writes := make([]write, 0, len(p.Adds)+len(p.Updates)+len(p.Deletes))
	for i := range p.Adds {
		writes = append(writes, write{desired: &p.Adds[i]})
	}
	for i := range p.Updates {
		u := &p.Updates[i]
		writes = append(writes, write{record: u.Record, desired: &u.Desired, changed: u.Changed})
	}
	for _, r := range p.Deletes {
		writes = append(writes, write{record: r})
	}
	t := Tally{Kept: len(p.Kept), Adopted: p.Adopted}
	for _, r := range p.Kept {
		c.Made(to.place(), r.ID, engine.MadeKept)
	}
	failed := to.finish(ctx, c, send(ctx, c, to, writes, &t), &t)
	to.notes(c, p, t)
	return t, failed.Err("write the " + to.noun())
}

// Delete deletes records and returns how many are deleted.
func Delete(ctx context.Context, c *engine.Call, to Target, records []*Record) (int, error) {
	writes := make([]write, len(records))
	for i, r := range records {
		writes[i] = write{record: r}
	}
	var t Tally
	var failed Failures
	for _, u := range send(ctx, c, to, writes, &t) {
		failed.Add(u.err)
	}
	return t.Deleted, failed.Err("delete the " + to.noun())
}

// send sends writes, counts those that are done and returns the others.
func send(ctx context.Context, c *engine.Call, to Target, writes []write, t *Tally) []undone {
	if len(writes) == 0 {
		return nil
	}
	var calls []bitrix.Call
	ends := make([]int, len(writes)) // in calls, behind the calls of each write
	for i, w := range writes {
		calls = append(calls, to.calls(w)...)
		ends[i] = len(calls)
	}
	answers := c.Portal.Do(ctx, append(calls, to.ending(writes)...)...)
	to.verify(ctx, c, writes, answers[len(calls):])
	var open []undone
	start := 0
	for i, w := range writes {
		if id, err := to.judge(w, answers[start:ends[i]]); err != nil {
			open = append(open, undone{w, err})
		} else {
			t.count(w)
			c.Made(to.place(), id, w.what())
		}
		start = ends[i]
	}
	return open
}
