package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// addCall adds an element under its code.
func (l *list) addCall(w wanted) bitrix.Call {
	return l.write("lists.element.add", map[string]any{"ELEMENT_CODE": w.code, "FIELDS": addFields(w.wishes)})
}

// freshFor is how long what was read of an element may be carried over by an
// update. When many updates wait for the portal's limit, people go on writing
// into the columns that are carried.
const freshFor = 2 * time.Second

// updateCall gives an element its wished values. The code goes along, also as a
// sign of adoption: updating by ELEMENT_ID alone blanks it.
func (l *list) updateCall(e *element, w wanted) bitrix.Call {
	call := l.write("lists.element.update", map[string]any{
		"ELEMENT_ID": e.id, "ELEMENT_CODE": w.code, "FIELDS": l.schema.updateFields(e, w.wishes),
	})
	call.Fresh = e.read.Add(freshFor)
	return call
}

// promptUpdate is the call for an element that was read just now because its
// update had waited too long. It goes before others: it cannot be any fresher.
func (l *list) promptUpdate(e *element, w wanted) bitrix.Call {
	call := l.updateCall(e, w)
	call.Fresh, call.Prompt = time.Time{}, true
	return call
}

// reader reads elements again, before what others ask for.
type reader func() ([]*element, error)

func (l *list) deleteCall(e *element) bitrix.Call {
	return l.write("lists.element.delete", map[string]any{"ELEMENT_ID": e.id})
}

// tally counts what a step did.
type tally struct{ added, updated, deleted, kept, adopted int }

func (t tally) result() map[string]any {
	return map[string]any{
		"added": count(t.added), "updated": count(t.updated), "deleted": count(t.deleted),
		"kept": count(t.kept), "adopted": count(t.adopted),
	}
}

// carryOut writes a plan, all of it at once. again reads what the plan was made
// of.
func (l *list) carryOut(ctx context.Context, c *engine.Call, p plan, again reader) (any, error) {
	done := tally{kept: p.kept, adopted: p.adopted}
	var calls []bitrix.Call
	for _, w := range p.adds {
		calls = append(calls, l.addCall(w))
	}
	for _, u := range p.updates {
		calls = append(calls, l.updateCall(u.element, u.want))
	}
	for _, e := range p.deletes {
		calls = append(calls, l.deleteCall(e))
	}
	var failed failures
	if len(calls) > 0 {
		answers := c.Portal.Do(ctx, calls...)
		adds, rest := answers[:len(p.adds)], answers[len(p.adds):]
		taken := done.countAdds(adds, p.adds, &failed)
		refused, stale := done.countUpdates(rest[:len(p.updates)], p.updates, &failed)
		done.countDeletes(rest[len(p.updates):], &failed)
		l.settle(ctx, c, taken, &done, &failed)
		refused = append(refused, l.renew(ctx, c, stale, again, &done, &failed)...)
		l.replace(ctx, c, refused, &done, &failed)
	}
	c.Note("%d added, %d updated (%d of them adopted), %d deleted, %d kept", done.added, done.updated, done.adopted, done.deleted, done.kept)
	if p.foreign > 0 {
		c.Note("%d elements of the scope were not made by this step and stay", p.foreign)
	}
	if p.doubles > 0 {
		c.Note("%d elements had the code of an older one", p.doubles)
	}
	return done.result(), failed.err("write the elements")
}

// countAdds returns the elements whose codes are taken.
func (t *tally) countAdds(answers []bitrix.Answer, adds []wanted, failed *failures) (taken []wanted) {
	for i, a := range answers {
		switch {
		case a.Err == nil:
			t.added++
		case bitrix.IsCode(a.Err, "ERROR_ELEMENT_ALREADY_EXISTS"):
			taken = append(taken, adds[i])
		default:
			failed.add(fmt.Errorf("row %d: %w", adds[i].row+1, a.Err))
		}
	}
	return taken
}

// countUpdates returns the elements that could not be given another code, and
// those whose updates waited for so long that they were not sent.
func (t *tally) countUpdates(answers []bitrix.Answer, updates []change, failed *failures) (refused, stale []change) {
	for i, a := range answers {
		switch {
		case a.Err == nil:
			t.updated++
		case errors.Is(a.Err, bitrix.ErrStale):
			stale = append(stale, updates[i])
		case bitrix.IsCode(a.Err, "ERROR_ELEMENT_NOT_FOUND") && updates[i].element.code != updates[i].want.code:
			refused = append(refused, updates[i])
		case bitrix.IsCode(a.Err, "ERROR_ELEMENT_NOT_FOUND"):
			failed.add(removed(updates[i].element.String()))
		default:
			failed.add(fmt.Errorf("row %d, %s: %w", updates[i].want.row+1, updates[i].element, a.Err))
		}
	}
	return refused, stale
}

// renew makes updates anew that waited for too long, of what the list holds
// now.
func (l *list) renew(ctx context.Context, c *engine.Call, stale []change, again reader, done *tally, failed *failures) (refused []change) {
	if len(stale) == 0 {
		return nil
	}
	now, err := again()
	if err != nil {
		failed.add(err)
		return nil
	}
	var calls []bitrix.Call
	var updates []change
	for _, u := range stale {
		i := slices.IndexFunc(now, func(e *element) bool { return e.id == u.element.id })
		switch {
		case i < 0:
			failed.add(removed(u.element.String()))
		case now[i].code == u.want.code && now[i].holds(u.want.wishes):
			done.kept++
		default:
			calls = append(calls, l.promptUpdate(now[i], u.want))
			updates = append(updates, change{now[i], u.want})
		}
	}
	if len(calls) > 0 {
		refused, _ = done.countUpdates(c.Portal.Do(ctx, calls...), updates, failed)
	}
	return refused
}

func (t *tally) countDeletes(answers []bitrix.Answer, failed *failures) {
	for _, a := range answers {
		switch {
		case a.Err == nil, bitrix.IsCode(a.Err, "ERROR_ELEMENT_NOT_FOUND"):
			t.deleted++
		default:
			failed.add(a.Err)
		}
	}
}

// settle updates elements that exist though the scope did not show them: a
// person moved one out of the scope, or an add was done whose answer was lost.
func (l *list) settle(ctx context.Context, c *engine.Call, taken []wanted, done *tally, failed *failures) {
	if len(taken) == 0 {
		return
	}
	codes := make([]string, len(taken))
	for i, w := range taken {
		codes[i] = w.code
	}
	found, err := l.readByCode(ctx, c, codes, false)
	if err != nil {
		failed.add(err)
		return
	}
	var calls []bitrix.Call
	var updates []change
	for _, w := range taken {
		switch i := slices.IndexFunc(found, func(e *element) bool { return e.code == w.code }); {
		case i < 0:
			failed.add(fmt.Errorf("row %d: the list has an element with the code %s and does not show it", w.row+1, w.code))
		case found[i].holds(w.wishes):
			done.kept++
		default:
			updates = append(updates, change{found[i], w})
			calls = append(calls, l.updateCall(found[i], w))
		}
	}
	if len(calls) == 0 {
		return
	}
	_, stale := done.countUpdates(c.Portal.Do(ctx, calls...), updates, failed) // their codes stay
	l.renew(ctx, c, stale, func() ([]*element, error) { return l.readByCode(ctx, c, codes, true) }, done, failed)
}

// replace takes over elements on portals where an update looks for an element
// that has both the given id and the given code, so that a code can never
// change (isExist in modules/lists/lib/entity/element.php). A copy is added
// under our code, and the element is deleted when that is done.
func (l *list) replace(ctx context.Context, c *engine.Call, refused []change, done *tally, failed *failures) {
	var adds []bitrix.Call
	var old []change
	for _, u := range refused {
		if l.schema.holdsDriveFiles(u.element) {
			failed.park(engine.ParkError("%s cannot be taken over: the portal does not let its code be changed, and its files on Drive cannot be copied", u.element))
			continue
		}
		old = append(old, u)
		adds = append(adds, l.write("lists.element.add", map[string]any{
			"ELEMENT_CODE": u.want.code, "FIELDS": l.schema.copyFields(u.element, u.want.wishes),
		}))
	}
	if len(adds) == 0 {
		return
	}
	var deletes []bitrix.Call
	for i, a := range c.Portal.Do(ctx, adds...) {
		if a.Err != nil {
			failed.add(fmt.Errorf("row %d, copy of %s: %w", old[i].want.row+1, old[i].element, a.Err))
			continue
		}
		done.updated++
		c.Note("%s was replaced by a copy: the portal does not let its code be changed", old[i].element)
		deletes = append(deletes, l.deleteCall(old[i].element))
	}
	if len(deletes) > 0 {
		var gone tally // they are no deletions of rows
		gone.countDeletes(c.Portal.Do(ctx, deletes...), failed)
	}
}
