package actions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// itemPlan is what a sync of items would do.
type itemPlan struct {
	adds    []wantedItem
	updates []itemChange
	deletes []int
	kept    int
	mine    int // how many items the step may delete
	foreign int // items of people that stay
	doubles int // of the deletes: items with the key of an older one
}

type itemChange struct {
	id, row int
	changed []wish
}

// planItems compares what is with what is wanted; existing is in the order of
// ids.
func planItems(existing []map[string]any, wants []wantedItem, keys []*field, removeForeign bool) (itemPlan, error) {
	var p itemPlan
	left := make([]bool, len(existing)) // ours, and no row has taken it
	byKey := map[string]int{}
	for i, item := range existing {
		text, ours := keyOf(item, keys)
		_, taken := byKey[text]
		switch {
		case !ours && !removeForeign:
			p.foreign++
			continue
		case ours && taken:
			p.doubles++
		case ours:
			byKey[text] = i
		}
		left[i] = true
		p.mine++
	}
	for _, w := range wants {
		i, found := byKey[w.text]
		if !found || len(differing(existing[i], w.key)) > 0 {
			p.adds = append(p.adds, w)
			continue
		}
		left[i] = false
		id, err := itemID(existing[i])
		if err != nil {
			return p, err
		}
		if changed := differing(existing[i], w.wishes); len(changed) > 0 {
			p.updates = append(p.updates, itemChange{id, w.row, changed})
		} else {
			p.kept++
		}
	}
	for i, item := range existing {
		if !left[i] {
			continue
		}
		id, err := itemID(item)
		if err != nil {
			return p, err
		}
		p.deletes = append(p.deletes, id)
	}
	return p, nil
}

// keyOf is the key of an item; ours is false when none of its fields is filled.
func keyOf(item map[string]any, keys []*field) (text string, ours bool) {
	texts := make([]string, 0, len(keys))
	for _, f := range keys {
		v := item[f.name]
		if f.empty(v) {
			continue
		}
		ours = true
		texts = append(texts, f.name+"="+f.canonical(v))
	}
	slices.Sort(texts)
	return strings.Join(texts, "\x00"), ours
}

// carryOut writes the plan, all of it at once. What fails leaves the rest done:
// the next attempt finds it as it should be.
func (p itemPlan) carryOut(ctx context.Context, c *engine.Call, typ int) (any, error) {
	calls := make([]bitrix.Call, 0, len(p.adds)+len(p.updates)+len(p.deletes))
	for _, w := range p.adds {
		calls = append(calls, addItemCall(typ, w.wishes))
	}
	for _, u := range p.updates {
		calls = append(calls, updateItemCall(typ, u.id, u.changed))
	}
	for _, id := range p.deletes {
		calls = append(calls, deleteItemCall(typ, id))
	}
	for i := range calls {
		calls[i].Loose = true // each goes to an item of its own
	}
	var failed failures
	done := itemTally{kept: p.kept, refused: map[*field]int{}}
	if len(calls) > 0 {
		answers := c.Portal.Do(ctx, calls...)
		adds, rest := answers[:len(p.adds)], answers[len(p.adds):]
		done.countAdds(adds, p.adds, &failed)
		done.countUpdates(rest[:len(p.updates)], p.updates, typ, &failed)
		done.countDeletes(rest[len(p.updates):], &failed)
	}
	p.notes(c, done)
	return map[string]any{
		"added": count(done.added), "updated": count(done.updated), "deleted": count(done.deleted), "kept": count(done.kept),
	}, failed.err("write the items")
}

// notes says what was done.
func (p itemPlan) notes(c *engine.Call, done itemTally) {
	c.Note("%d added, %d updated, %d deleted, %d kept", done.added, done.updated, done.deleted, done.kept)
	if p.foreign > 0 {
		c.Note("%d items of the scope have no key and stay", p.foreign)
	}
	if p.doubles > 0 {
		c.Note("%d items had the key of an older one", p.doubles)
	}
	for _, f := range slices.SortedFunc(maps.Keys(done.refused), func(a, b *field) int { return strings.Compare(a.name, b.name) }) {
		c.Note("field %s did not take its value in %d items: the portal ignored it or sets the field by itself", f.name, done.refused[f])
	}
}

// itemTally counts what a sync of items did.
type itemTally struct {
	added, updated, deleted, kept int
	// refused counts the items whose field did not take its value.
	refused map[*field]int
}

func (t *itemTally) countAdds(answers []bitrix.Answer, adds []wantedItem, failed *failures) {
	for i, a := range answers {
		if a.Err != nil {
			failed.add(fmt.Errorf("row %d: %w", adds[i].row+1, a.Err))
			continue
		}
		t.added++
		t.look(a, adds[i].wishes)
	}
}

func (t *itemTally) countUpdates(answers []bitrix.Answer, updates []itemChange, typ int, failed *failures) {
	for i, a := range answers {
		switch name := itemName(typ, updates[i].id); {
		case bitrix.IsNotFound(a.Err):
			failed.add(removed(name))
		case a.Err != nil:
			failed.add(fmt.Errorf("row %d, %s: %w", updates[i].row+1, name, a.Err))
		default:
			t.updated++
			t.look(a, updates[i].changed)
		}
	}
}

func (t *itemTally) countDeletes(answers []bitrix.Answer, failed *failures) {
	for _, a := range answers {
		if a.Err != nil && !bitrix.IsNotFound(a.Err) { // one that is gone already is as wished
			failed.add(a.Err)
			continue
		}
		t.deleted++
	}
}

// look compares the item that was answered with what it was to become.
func (t *itemTally) look(a bitrix.Answer, wishes []wish) {
	stored, err := decodeItem(a.Result)
	if err != nil {
		return // it was written all the same
	}
	for _, w := range differing(stored, wishes) {
		t.refused[w.field]++
	}
}
