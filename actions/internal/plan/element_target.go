package plan

import (
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
	// reread reads again what the plan was made of.
	reread func() ([]*Record, error)
	// ids are those of the elements that were written, by their codes.
	ids map[string]int
}

// NewElementTarget is the target for the elements of a list. reread reads again
// what the plan was made of.
func NewElementTarget(l *List, reread func() ([]*Record, error)) *ElementTarget {
	return &ElementTarget{l, reread, map[string]int{}}
}

func (x *ElementTarget) call(w write) bitrix.Call {
	switch {
	case w.record == nil:
		return x.list.addCall(*w.desired)
	case w.desired == nil:
		return x.list.deleteCall(w.record)
	}
	return x.list.updateCall(w.record, *w.desired)
}

func (x *ElementTarget) judge(w write, a bitrix.Answer) error {
	if w.desired == nil && bitrix.IsCode(a.Err, "ERROR_ELEMENT_NOT_FOUND") {
		return nil // another request has deleted it
	}
	if a.Err != nil || w.desired == nil {
		return a.Err
	}
	if w.record != nil {
		x.ids[w.desired.Key] = w.record.ID
		return nil
	}
	id, err := addedID(a)
	if err != nil {
		return err
	}
	x.ids[w.desired.Key] = id
	return nil
}

// retry deals with codes that are taken, with updates that waited for too long,
// and with portals that do not let a code be changed.
func (x *ElementTarget) retry(ctx context.Context, c *engine.Call, open []undone, t *Tally) (failed Failures) {
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
	x.retryAsUpdate(ctx, c, taken, t, &failed)
	fixed = append(fixed, x.renew(ctx, c, stale, t, &failed)...)
	x.replace(ctx, c, fixed, t, &failed)
	return failed
}

// codeIsFixed reports an update that failed because the portal does not let the
// code of the element be changed.
func (u undone) codeIsFixed() bool {
	return u.isUpdate() && bitrix.IsCode(u.err, "ERROR_ELEMENT_NOT_FOUND") && u.record.Code != u.desired.Key
}

// elementError is the error of a write that nothing more can be done for.
func elementError(u undone) error {
	if u.isUpdate() && bitrix.IsCode(u.err, "ERROR_ELEMENT_NOT_FOUND") {
		return Removed(u.record)
	}
	return u.failed(u.err)
}

// retryAsUpdate updates elements that exist though the scope did not show them:
// a person moved one out of the scope, or an add was done whose answer was lost.
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
			failed.Add(w.failed(fmt.Errorf("the list has an element with the code %s and does not show it", w.desired.Key)))
			continue
		}
		x.ids[w.desired.Key] = found[i].ID
		if found[i].Holds(w.desired.Values) {
			t.Kept++
			continue
		}
		updates = append(updates, write{record: found[i], desired: w.desired})
	}
	byCode := &ElementTarget{x.list, func() ([]*Record, error) { return x.list.ReadByCode(ctx, c, codes, true) }, x.ids}
	var stale []write
	for _, u := range send(ctx, c, byCode, updates, t) {
		if errors.Is(u.err, bitrix.ErrStale) {
			stale = append(stale, u.write)
		} else {
			failed.Add(elementError(u))
		}
	}
	byCode.renew(ctx, c, stale, t, failed) // their codes stay
}

// renew sends updates again that waited for too long, made of what the list
// holds now. It returns those of elements that could not be given another code.
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
	for _, u := range send(ctx, c, &immediate{x}, updates, t) {
		if u.codeIsFixed() {
			fixed = append(fixed, u.write)
		} else {
			failed.Add(elementError(u))
		}
	}
	return fixed
}

// immediate is the target for elements that were read just now because their
// updates had waited for too long. They go before other calls: they cannot be
// any fresher.
type immediate struct{ *ElementTarget }

func (x *immediate) call(w write) bitrix.Call {
	call := x.ElementTarget.call(w)
	call.Deadline, call.Immediate = time.Time{}, true
	return call
}

// replace takes over elements on portals where an update looks for an element
// that has both the given id and the given code, so that a code can never
// change (isExist in modules/lists/lib/entity/element.php). A copy is added
// under our code, and the element is deleted when that is done.
func (x *ElementTarget) replace(ctx context.Context, c *engine.Call, fixed []write, t *Tally, failed *Failures) {
	var adds []bitrix.Call
	var old []write
	for _, w := range fixed {
		if x.list.Schema.holdsDriveFiles(w.record) {
			failed.Park(engine.ParkError("%s cannot be taken over: the portal does not let its code be changed, and its files on Drive cannot be copied", w.record))
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
		c.Note("%s was replaced by a copy: the portal does not let its code be changed", old[i].record)
		deletes = append(deletes, write{record: old[i].record})
	}
	var gone Tally // they are no deletions of rows
	for _, u := range send(ctx, c, x, deletes, &gone) {
		failed.Add(u.err)
	}
}

func (x *ElementTarget) noun() string { return "elements" }

func (x *ElementTarget) notes(c *engine.Call, p Plan, t Tally) {
	c.Note("%d added, %d updated (%d of them adopted), %d deleted, %d kept", t.Added, t.Updated, t.Adopted, t.Deleted, t.Kept)
	if p.Foreign > 0 {
		c.Note("%d elements of the scope were not made by this step and stay", p.Foreign)
	}
	if p.Doubles > 0 {
		c.Note("%d elements had the code of an older one", p.Doubles)
	}
}

// OneElement is the target of a step that writes one element.
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

// ID is the id of the element with a code, once it is written.
func (x *ElementTarget) ID(code string) int { return x.ids[code] }
