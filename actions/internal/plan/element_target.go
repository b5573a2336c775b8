package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// ElementTarget is the target of sync_elements, upsert_element and delete_elements.
type ElementTarget struct {
	list *List
	// reread reads the elements of the plan again.
	reread func() ([]*Record, error)
	// ids are the ids of the written elements by their codes.
	ids map[string]int
	// overwritten are updates that have overwritten what people wrote.
	overwritten []overwritten
	// unseen counts the updates without a readable answer of the read before them.
	unseen int
	// outdated is why values that were written may be lost: the list has changed.
	outdated error
}

// NewElementTarget returns the target for the elements of a list. reread reads
// the elements of the plan again. It may be nil if the plan has no updates.
func NewElementTarget(l *List, reread func() ([]*Record, error)) *ElementTarget {
	return &ElementTarget{list: l, reread: reread, ids: map[string]int{}}
}

// calls of an update read the element directly before it.
func (x *ElementTarget) calls(w write) []bitrix.Call {
	switch {
	case w.record == nil:
		return []bitrix.Call{x.list.addCall(*w.desired)}
	case w.desired == nil:
		return []bitrix.Call{x.list.deleteCall(w.record)}
	}
	update := x.list.updateCall(w.record, *w.desired)
	return []bitrix.Call{x.list.readBefore(w.record, update.Deadline), update}
}

func (x *ElementTarget) judge(w write, answers []bitrix.Answer) (id int, err error) {
	a := answers[len(answers)-1]
	if w.desired == nil && bitrix.IsCode(a.Err, "ERROR_ELEMENT_NOT_FOUND") {
		return w.record.ID, nil // another request deleted it
	}
	switch {
	case a.Err != nil:
		return 0, a.Err
	case w.desired == nil:
		return w.record.ID, nil
	case w.record != nil:
		x.compare(w, answers[0])
		id = w.record.ID
	default:
		if id, err = addedID(a); err != nil {
			return 0, err
		}
	}
	x.ids[w.desired.Key] = id
	return id, nil
}

func (x *ElementTarget) ending(writes []write) []bitrix.Call {
	if x.list.current || !slices.ContainsFunc(writes, func(w write) bool { return w.desired != nil }) {
		return nil
	}
	return []bitrix.Call{bitrix.DescribeList(x.list.typ, x.list.id)}
}

func (x *ElementTarget) verify(ctx context.Context, c *engine.Call, writes []write, answers []bitrix.Answer) {
	var written []FieldValue
	for _, w := range writes {
		if w.desired != nil {
			written = append(written, w.desired.Values...)
		}
	}
	for _, a := range answers {
		err := a.Err
		if err == nil {
			err = x.list.changed(ctx, c, written)
		}
		if x.outdated == nil {
			x.outdated = err
		}
	}
}

func (x *ElementTarget) place() string { return engine.PlaceOfList(x.list.id) }

// finish handles codes that are taken, updates that waited for too long, portals
// that do not let a code be changed, and values of people that were overwritten.
func (x *ElementTarget) finish(ctx context.Context, c *engine.Call, open []undone, t *Tally) (failed Failures) {
	var taken, stale, fixed []write
	for _, u := range open {
		switch {
		case u.record == nil && bitrix.IsCode(u.err, "ERROR_ELEMENT_ALREADY_EXISTS"):
			taken = append(taken, u.write)
		case errors.Is(u.err, bitrix.ErrStale):
			stale = append(stale, u.write)
		case u.codeIsFixed():
			fixed = append(fixed, u.write)
		default:
			failed.Add(elementError(u))
		}
	}
	x.repair(ctx, c, &failed) // first: the other requests may wait for the portal's limit
	x.retryAsUpdate(ctx, c, taken, t, &failed)
	fixed = append(fixed, x.renew(ctx, c, stale, t, &failed)...)
	x.replace(ctx, c, fixed, t, &failed)
	x.repair(ctx, c, &failed)
	x.reportRepairs(c)
	if x.outdated != nil {
		failed.Add(x.outdated)
	}
	return failed
}

// codeIsFixed reports an update that failed because the portal does not let the
// code of an element be changed.
func (u undone) codeIsFixed() bool {
	return u.isUpdate() && bitrix.IsCode(u.err, "ERROR_ELEMENT_NOT_FOUND") && u.record.Code != u.desired.Key
}

// elementError is the final error of a write.
func elementError(u undone) error {
	if u.isUpdate() && bitrix.IsCode(u.err, "ERROR_ELEMENT_NOT_FOUND") {
		return Removed(u.record)
	}
	return u.failed(u.err)
}

// retryAsUpdate updates elements that exist but were not in the scope: a person
// moved one out of the scope, or the answer of an add was lost.
func (x *ElementTarget) retryAsUpdate(ctx context.Context, c *engine.Call, taken []write, t *Tally, failed *Failures) {
	if len(taken) == 0 {
		return
	}
	codes := make([]string, len(taken))
	for i, w := range taken {
		codes[i] = w.desired.Key
	}
	found, err := x.list.ReadByCode(ctx, c, codes, false)
	if err != nil {
		failed.Add(err)
		return
	}
	var updates []write
	for _, w := range taken {
		i := slices.IndexFunc(found, func(r *Record) bool { return r.Code == w.desired.Key })
		if i < 0 {
			failed.Add(w.failed(fmt.Errorf("the list refuses the code %s as taken, but shows no element with it", w.desired.Key)))
			continue
		}
		x.ids[w.desired.Key] = found[i].ID
		if found[i].Holds(w.desired.Values) {
			t.Kept++
			c.Made(x.place(), found[i].ID, engine.MadeWritten) // its add may have been ours
			continue
		}
		updates = append(updates, write{record: found[i], desired: w.desired})
	}
	byCode := &ElementTarget{list: x.list, reread: func() ([]*Record, error) { return x.list.ReadByCode(ctx, c, codes, true) }, ids: x.ids}
	var stale []write
	for _, u := range send(ctx, c, byCode, updates, t) {
		if errors.Is(u.err, bitrix.ErrStale) {
			stale = append(stale, u.write)
		} else {
			failed.Add(elementError(u))
		}
	}
	byCode.renew(ctx, c, stale, t, failed) // their codes do not change
	x.overwritten = append(x.overwritten, byCode.overwritten...)
	x.outdated = cmp.Or(x.outdated, byCode.outdated)
}

// renew reads the elements of updates that waited for too long, and sends new
// updates. It returns the updates that failed because the code cannot be changed.
func (x *ElementTarget) renew(ctx context.Context, c *engine.Call, stale []write, t *Tally, failed *Failures) (fixed []write) {
	if len(stale) == 0 {
		return nil
	}
	now, err := x.reread()
	if err != nil {
		failed.Add(err)
		return nil
	}
	var updates []write
	for _, w := range stale {
		i := slices.IndexFunc(now, func(r *Record) bool { return r.ID == w.record.ID })
		switch {
		case i < 0:
			failed.Add(Removed(w.record))
		case now[i].Code == w.desired.Key && now[i].Holds(w.desired.Values):
			x.ids[w.desired.Key] = now[i].ID
			t.Kept++
		default:
			updates = append(updates, write{record: now[i], desired: w.desired})
		}
	}
	for _, u := range send(ctx, c, &immediate{ElementTarget: x}, updates, t) {
		if u.codeIsFixed() {
			fixed = append(fixed, u.write)
		} else {
			failed.Add(elementError(u))
		}
	}
	return fixed
}

// immediate is the target for elements that were just read again because their
// updates had waited for too long. Their updates go before other calls and have no
// deadline. Those that put back what a person wrote go first.
type immediate struct {
	*ElementTarget
	repair bool
}

func (x *immediate) calls(w write) []bitrix.Call {
	calls := x.ElementTarget.calls(w)
	for i := range calls {
		calls[i].Deadline, calls[i].Immediate, calls[i].Repair = time.Time{}, true, x.repair
	}
	return calls
}

// replace adopts elements on portals where an update finds an element only by
// both its id and its code, so that a code can never change (isExist in
// modules/lists/lib/entity/element.php). It adds a copy under our code and then
// deletes the element.
func (x *ElementTarget) replace(ctx context.Context, c *engine.Call, fixed []write, t *Tally, failed *Failures) {
	var adds []bitrix.Call
	var old []write
	for _, w := range fixed {
		if x.list.Schema.holdsFiles(w.record) {
			failed.Park(engine.ParkError("%s cannot be adopted: the portal does not let its code be changed, and its files cannot be copied", w.record))
			continue
		}
		old = append(old, w)
		adds = append(adds, x.list.write("lists.element.add", map[string]any{
			"ELEMENT_CODE": w.desired.Key, "FIELDS": x.list.Schema.copyFields(w.record, w.desired.Values),
		}))
	}
	if len(adds) == 0 {
		return
	}
	var deletes []write
	for i, a := range c.Portal.Do(ctx, adds...) {
		if a.Err != nil {
			failed.Add(fmt.Errorf("row %d, copy of %s: %w", old[i].desired.Row+1, old[i].record, a.Err))
			continue
		}
		t.Updated++
		if id, err := addedID(a); err == nil {
			c.Made(x.place(), id, engine.MadeWritten)
		}
		c.Note("%s was replaced by a copy: the portal does not let its code be changed", old[i].record)
		deletes = append(deletes, write{record: old[i].record})
	}
	var copied Tally // these deletions belong to updates
	for _, u := range send(ctx, c, x, deletes, &copied) {
		failed.Add(u.err)
	}
}

func (x *ElementTarget) noun() string { return "elements" }

func (x *ElementTarget) notes(c *engine.Call, p Plan, t Tally) {
	c.Note("%d added, %d updated (%d of them adopted), %d deleted, %d kept", t.Added, t.Updated, t.Adopted, t.Deleted, t.Kept)
	if p.Foreign > 0 {
		c.Note("%d elements of the scope were not made by this rule and stay", p.Foreign)
	}
	if p.Doubles > 0 {
		c.Note("%d elements had the code of another one", p.Doubles)
		c.Log.Warn("deleted elements with the code of another one", "list", x.list.id, "elements", p.Doubles)
	}
	for _, r := range p.Spared {
		c.Note("%s has the code of another element, but people have written values into both: both stay", r)
		c.Log.Warn("two elements have one code, and people have written values into both: move the values and delete one element", "list", x.list.id, "element", r.ID)
	}
}

// OneElement is the target of a step that writes a single element.
type OneElement struct{ *ElementTarget }

// NewOneElement is NewElementTarget for a step that writes one element.
func NewOneElement(l *List, reread func() ([]*Record, error)) *OneElement {
	return &OneElement{NewElementTarget(l, reread)}
}

func (x *OneElement) noun() string { return "element" }

func (x *OneElement) notes(c *engine.Call, _ Plan, t Tally) {
	for _, id := range x.ids {
		switch {
		case t.Added > 0:
			c.Note("added element %d", id)
		case t.Updated > 0:
			c.Note("updated element %d", id)
		}
	}
}

// ID is the id of the written element with a code.
func (x *ElementTarget) ID(code string) int { return x.ids[code] }
