package ruletest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
)

// prove returns what is wrong, nothing when the proof holds. applies is false
// when there is nothing that could be proven.
type prove func(ctx context.Context, c *proving) (wrong []disproof, applies bool, err error)

// proofRuns are the functions of the proofs.
var proofRuns = map[string]prove{
	"second_run": proveSecondRun, "doubled": proveDoubled, "shuffled": proveShuffled, "resaved": proveResaved, "crash": proveCrash,
	"after_delete": proveAfterDelete, "unmanaged": proveUnmanaged, "duplicates": proveNoDuplicates,
}

// disproof is a way in which a proof has failed.
type disproof struct{ message, diff string }

// proving is a test whose own expectations hold.
type proving struct {
	*stage
	base   []played
	world  *sandbox // of the base
	writes int
}

// replay plays the test differently and compares how it ends.
func (c *proving) replay(ctx context.Context, v variation, what string) ([]disproof, error) {
	w, scenes, err := c.play(ctx, v)
	if err != nil {
		return nil, err
	}
	defer w.close()
	wrong := c.differs(scenes, what)
	if twice := w.duplicates(c.stage); len(twice) > 0 && len(c.world.duplicates(c.stage)) == 0 {
		wrong = append(wrong, disproof{message: what + ": " + strings.Join(twice, "; ")})
	}
	return wrong, nil
}

// differs compares the ends of two plays.
func (c *proving) differs(scenes []played, what string) []disproof {
	var wrong []disproof
	for i, p := range scenes {
		if a, b := endings(c.base[i]), endings(p); a != b {
			wrong = append(wrong, disproof{message: fmt.Sprintf("%s: the run for %s ended as %s, without it as %s", what, p.act.scene.Event.original, b, a)})
		}
	}
	last := len(scenes) - 1
	if d := unified(c.base[last].after.comparable(false), scenes[last].after.comparable(false)); d != "" {
		wrong = append(wrong, disproof{what + ": the portal ends in another state (-without +with)", d})
	}
	return wrong
}

// endings are the outcomes of a scene's runs as one text. A run that found
// nothing to do because it was done before has ended well too.
func endings(p played) string {
	var out []string
	for _, r := range p.runs {
		out = append(out, r.outcome)
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

func proveSecondRun(ctx context.Context, c *proving) ([]disproof, bool, error) {
	w, scenes, err := c.play(ctx, variation{again: true})
	if err != nil {
		return nil, true, err
	}
	defer w.close()
	var wrong []disproof
	for _, p := range scenes {
		if len(p.again) > 0 {
			wrong = append(wrong, disproof{
				message: fmt.Sprintf("a second run for %s writes again, with nothing changed in between", p.act.scene.Event.original),
				diff:    c.tell(p.again),
			})
		}
	}
	if len(wrong) == 0 {
		wrong = c.differs(scenes, "a second run after each event")
	}
	return wrong, true, nil
}

// tell writes calls as lines of a diff.
func (c *proving) tell(calls []bitrix.Call) string {
	var doc []any
	for _, call := range calls {
		doc = append(doc, map[string]any{call.Method: c.readable(call)})
	}
	return unified(nil, render(doc))
}

func proveDoubled(ctx context.Context, c *proving) ([]disproof, bool, error) {
	wrong, err := c.replay(ctx, variation{count: 2}, "two events in one run")
	if err != nil || len(wrong) > 0 {
		return wrong, true, err
	}
	wrong, err = c.replay(ctx, variation{count: 2, again: true}, "an event while the run for another one is under way")
	return wrong, true, err
}

// shuffles is how many orders of product rows are tried beside the reverse.
const shuffles = 3

func proveShuffled(ctx context.Context, c *proving) ([]disproof, bool, error) {
	if !c.anyRows() {
		return nil, false, nil
	}
	for i := range shuffles + 1 {
		wrong, err := c.replay(ctx, variation{arrange: shuffle(uint64(i))}, "product rows in another order")
		if err != nil || len(wrong) > 0 {
			return wrong, true, err
		}
	}
	return nil, true, nil
}

// anyRows tells whether there is an order that could be another one.
func (c *proving) anyRows() bool {
	for _, a := range c.test.acts() {
		for _, items := range a.change.byType() {
			for _, x := range items {
				if len(x.rows) > 1 {
					return true
				}
			}
		}
	}
	return false
}

// shuffle arranges rows in another order: 0 reverses them. Rows of one product
// keep their order among themselves, for it tells them apart.
func shuffle(seed uint64) order {
	return func(rows []fields) []fields {
		out := slices.Clone(rows)
		if seed == 0 {
			slices.Reverse(out)
		} else {
			r := rand.New(rand.NewPCG(seed, uint64(len(rows))))
			r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		queue := map[string][]fields{}
		for _, r := range rows {
			queue[product(r)] = append(queue[product(r)], r)
		}
		for i, r := range out {
			p := product(r)
			out[i], queue[p] = queue[p][0], queue[p][1:]
		}
		return out
	}
}

// product is what makes rows ones of the same product, as the key of
// fetch_products has it.
func product(r fields) string {
	if id, ok := r.get("productId"); ok && text(id.value) != "0" {
		return text(id.value)
	}
	n, _ := r.get("productName")
	return "name:" + text(n.value)
}

// proveResaved saves every product tab anew after the last event, so that all
// rows have new ids, and lets the rules run again: each element and item has to
// stay the one that it was.
func proveResaved(ctx context.Context, c *proving) ([]disproof, bool, error) {
	w, scenes, err := c.play(ctx, variation{})
	if err != nil {
		return nil, true, err
	}
	defer w.close()
	last := scenes[len(scenes)-1]
	event := last.act.scene.Event
	saved := false
	err = w.asPeople(func() error {
		for typ, things := range last.after.items {
			for _, x := range things {
				given, ok := c.rowsOf(typ, x.id)
				if !ok || x.values[rowsKey] == nil {
					continue
				}
				saved = true
				if err := w.setRows(typ, given, shuffle(0)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || !saved || event.known.Op == "delete" {
		return nil, false, err
	}
	before, err := w.snapshot()
	if err != nil {
		return nil, true, err
	}
	runs, err := c.hear(ctx, w, event, 1)
	if err != nil {
		return nil, true, err
	}
	const what = "product rows saved anew, so that they have new ids"
	if a, b := endings(last), endings(played{runs: runs}); a != b {
		return []disproof{{message: fmt.Sprintf("%s: the run ended as %s, before as %s%s", what, b, a, because(firstFailed(runs)))}}, true, nil
	}
	after, err := w.snapshot()
	if err != nil {
		return nil, true, err
	}
	if d := unified(before.comparable(true), after.comparable(true)); d != "" {
		return []disproof{{what + ": elements or items are changed or made anew (-before +after)", d}}, true, nil
	}
	return nil, true, nil
}

func firstFailed(runs []ran) ran {
	for _, r := range runs {
		if r.err != nil {
			return r
		}
	}
	return ran{}
}

// rowsOf returns an item with the rows that people gave it last.
func (c *proving) rowsOf(typ int, id int64) (entity, bool) {
	acts := c.test.acts()
	for _, a := range slices.Backward(acts) {
		for _, x := range a.change.byType()[typ] {
			if x.id == id && x.hasRows {
				return x, true
			}
		}
	}
	return entity{}, false
}

// maxCrashes is how many crashes are tried; of more writes some are chosen,
// evenly.
const maxCrashes = 100

func proveCrash(ctx context.Context, c *proving) ([]disproof, bool, error) {
	if c.writes == 0 {
		return nil, false, nil
	}
	tries := min(c.writes, maxCrashes)
	for i := range tries {
		after := 1 + i*c.writes/tries
		wrong, err := c.replay(ctx, variation{crashAfter: after}, fmt.Sprintf("a crash after write %d of %d and a retry", after, c.writes))
		if err != nil || len(wrong) > 0 {
			return wrong, true, err
		}
	}
	return nil, true, nil
}

func proveAfterDelete(ctx context.Context, c *proving) ([]disproof, bool, error) {
	last := c.base[len(c.base)-1]
	event := last.act.scene.Event
	gone, ok := event.with("delete")
	late, also := event.with("update")
	if !ok || !also || c.world.entityType(event) == 0 {
		return nil, false, nil
	}
	w, _, err := c.play(ctx, variation{})
	if err != nil {
		return nil, true, err
	}
	defer w.close()
	if err := w.deleteEntity(event); err != nil {
		return nil, true, err
	}
	if _, err := c.hear(ctx, w, gone, 1); err != nil {
		return nil, true, err
	}
	before, err := w.snapshot()
	if err != nil {
		return nil, true, err
	}
	w.rec.take()
	runs, err := c.hear(ctx, w, late, 1)
	if err != nil || len(runs) == 0 {
		return nil, len(runs) > 0, err
	}
	writes := w.rec.take()
	after, err := w.snapshot()
	if err != nil {
		return nil, true, err
	}
	message := fmt.Sprintf("%s comes after the deletion and still ", late.original)
	if d := unified(before.comparable(true), after.comparable(true)); d != "" {
		return []disproof{{message + "changes the portal (-before +after)", d}}, true, nil
	}
	if len(writes) > 0 {
		return []disproof{{message + "writes", c.tell(writes)}}, true, nil
	}
	return nil, true, nil
}
