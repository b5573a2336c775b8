package plan

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// ItemTarget is the target of sync_items.
type ItemTarget struct {
	Schema *ItemSchema
	// refused counts the items whose field does not have its value after a write.
	refused map[*value.Field]int
	// written are the items as the portal has answered writes of them.
	written []writtenItem
}

type writtenItem struct {
	stored *Record
	values []FieldValue
}

func (x *ItemTarget) calls(w write) []bitrix.Call {
	var call bitrix.Call
	switch {
	case w.record == nil:
		call = AddItemCall(x.Schema.Type, w.desired.Values)
	case w.desired == nil:
		call = deleteItemCall(x.Schema.Type, w.record.ID)
	default:
		call = UpdateItemCall(x.Schema.Type, w.record.ID, w.changed)
	}
	call.Unordered = true // the writes are for different items
	return []bitrix.Call{call}
}

func (x *ItemTarget) judge(w write, answers []bitrix.Answer) (id int, err error) {
	a := answers[0]
	if w.desired == nil && (a.Err == nil || bitrix.IsNotFound(a.Err)) { // another request may have deleted it
		return w.record.ID, nil
	}
	if a.Err != nil {
		return 0, a.Err
	}
	values := w.changed
	if w.record == nil {
		values = w.desired.Values
	}
	stored, err := x.Schema.DecodeItem(a.Result)
	if err != nil {
		return 0, err
	}
	for _, v := range stored.Differing(values) {
		if x.refused == nil {
			x.refused = map[*value.Field]int{}
		}
		x.refused[v.Field]++
	}
	x.written = append(x.written, writtenItem{stored, values})
	return stored.ID, nil
}

// ending is empty: the answer to a write shows the item.
func (x *ItemTarget) ending([]write) []bitrix.Call { return nil }

func (x *ItemTarget) verify(context.Context, *engine.Call, []write, []bitrix.Answer) {}

func (x *ItemTarget) place() string { return x.Schema.Place() }

// finish leaves everything to the next attempt of the run.
func (x *ItemTarget) finish(ctx context.Context, c *engine.Call, open []undone, _ *Tally) (failed Failures) {
	for _, u := range open {
		if u.record != nil && bitrix.IsNotFound(u.err) {
			failed.Add(Removed(u.record))
		} else {
			failed.Add(u.failed(u.err))
		}
	}
	for _, w := range x.written {
		if err := x.Schema.CheckFields(ctx, c, w.stored, w.values); err != nil {
			failed.Add(err)
			break // the others lack the same field
		}
	}
	return failed
}

func (x *ItemTarget) noun() string { return "items" }

func (x *ItemTarget) notes(c *engine.Call, p Plan, t Tally) {
	c.Note("%d added, %d updated, %d deleted, %d kept", t.Added, t.Updated, t.Deleted, t.Kept)
	if p.Foreign > 0 {
		c.Note("%d items of the scope have an empty key and stay", p.Foreign)
	}
	if p.Doubles > 0 {
		c.Note("%d items had the key of an older one", p.Doubles)
	}
	for _, f := range slices.SortedFunc(maps.Keys(x.refused), func(a, b *value.Field) int { return strings.Compare(a.Name, b.Name) }) {
		c.Note("the portal does not keep field %s of %d items: it ignored the value or computes the field", f.Name, x.refused[f])
	}
}
