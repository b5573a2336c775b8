package ruletest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// checkFunc runs a built-in check and returns its violations. applies is false if the
// check does not apply to the test.
type checkFunc func(ctx context.Context, c *baseline) (wrong []violation, applies bool, err error)

// checkFuncs are the functions of testfile.BuiltinChecks.
var checkFuncs = map[string]checkFunc{
	"second_run": checkSecondRun, "doubled": checkDoubled, "shuffled": checkShuffled, "resaved": checkResaved, "crash": checkCrash,
	"after_delete": checkAfterDelete, "unmanaged": checkUnmanaged, "duplicates": checkDuplicates,
}

// violation is one failure of a check.
type violation struct{ message, diff string }

// baseline is a test whose own expectations hold, with the results of its first play.
type baseline struct {
	*fixture
	results []scenarioResult
	sandbox *sandbox // of the first play
	writes  int
}

// replay plays the test in a variation and compares the result with the baseline.
func (c *baseline) replay(ctx context.Context, v variation, what string) ([]violation, error) {
	w, scenes, err := c.runScenarios(ctx, v)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	wrong := c.differs(scenes, what)
	if twice := w.duplicates(c.fixture); len(twice) > 0 && len(c.sandbox.duplicates(c.fixture)) == 0 {
		wrong = append(wrong, violation{message: what + ": " + strings.Join(twice, "; ")})
	}
	return wrong, nil
}

// differs compares the results of two plays.
func (c *baseline) differs(scenes []scenarioResult, what string) []violation {
	var wrong []violation
	for i, p := range scenes {
		if a, b := outcomesOf(c.results[i]), outcomesOf(p); a != b {
			wrong = append(wrong, violation{message: fmt.Sprintf("%s: the run for %s ended as %s, but without it as %s", what, p.phase.Scenario.Event.Label, b, a)})
		}
	}
	last := len(scenes) - 1
	if d := compare.Diff(c.results[last].after.Comparable(false), scenes[last].after.Comparable(false)); d != "" {
		wrong = append(wrong, violation{what + ": the portal has another state at the end (-without +with)", d})
	}
	return wrong
}

// outcomesOf returns the outcomes of a scenario's runs as one text.
func outcomesOf(p scenarioResult) string {
	var out []string
	for _, r := range p.runs {
		out = append(out, r.outcome)
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

func checkSecondRun(ctx context.Context, c *baseline) ([]violation, bool, error) {
	w, scenes, err := c.runScenarios(ctx, variation{again: true})
	if err != nil {
		return nil, true, err
	}
	defer w.Close()
	var wrong []violation
	for _, p := range scenes {
		if len(p.again) > 0 {
			wrong = append(wrong, violation{
				message: fmt.Sprintf("a second run for %s writes again, although nothing has changed", p.phase.Scenario.Event.Label),
				diff:    c.callLines(p.again),
			})
		}
	}
	if len(wrong) == 0 {
		wrong = c.differs(scenes, "a second run after each event")
	}
	return wrong, true, nil
}

// callLines returns calls as lines of a diff.
func (c *baseline) callLines(calls []bitrix.Call) string {
	var doc []any
	for _, call := range calls {
		doc = append(doc, map[string]any{call.Method: c.readable(call)})
	}
	return compare.Diff(nil, compare.Render(doc))
}

func checkDoubled(ctx context.Context, c *baseline) ([]violation, bool, error) {
	wrong, err := c.replay(ctx, variation{count: 2}, "two events in one run")
	if err != nil || len(wrong) > 0 {
		return wrong, true, err
	}
	wrong, err = c.replay(ctx, variation{count: 2, again: true}, "an event during the run of another event")
	return wrong, true, err
}

// shuffles is the number of random orders of product rows, in addition to the reverse order.
const shuffles = 3

func checkShuffled(ctx context.Context, c *baseline) ([]violation, bool, error) {
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

// anyRows reports whether an item of the test has two or more product rows.
func (c *baseline) anyRows() bool {
	for _, a := range c.test.Phases() {
		for _, items := range a.Change.ByType() {
			for _, x := range items {
				if len(x.Rows) > 1 {
					return true
				}
			}
		}
	}
	return false
}

// shuffle returns a function that reorders rows; seed 0 reverses them. Rows of the same
// product keep their order, because rules distinguish them by it.
func shuffle(seed uint64) testportal.RowOrder {
	return func(rows []testportal.Fields) []testportal.Fields {
		out := slices.Clone(rows)
		if seed == 0 {
			slices.Reverse(out)
		} else {
			r := rand.New(rand.NewPCG(seed, uint64(len(rows))))
			r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		queue := map[string][]testportal.Fields{}
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

// product returns the product of a row in the same way as the key of fetch_products.
func product(r testportal.Fields) string {
	if id, ok := r.Get("productId"); ok && compare.Text(id.Value) != "0" {
		return compare.Text(id.Value)
	}
	n, _ := r.Get("productName")
	return "name:" + compare.Text(n.Value)
}

// checkResaved saves every product tab again after the last event, so that all rows have
// new ids, and runs the rules again. Each element and item must keep its id.
func checkResaved(ctx context.Context, c *baseline) ([]violation, bool, error) {
	w, scenes, err := c.runScenarios(ctx, variation{})
	if err != nil {
		return nil, true, err
	}
	defer w.Close()
	last := scenes[len(scenes)-1]
	event := last.phase.Scenario.Event
	saved := false
	err = w.AsPeople(func() error {
		for typ, records := range last.after.Items {
			for _, x := range records {
				given, ok := c.rowsOf(typ, x.ID)
				if !ok || x.Values[testportal.RowsKey] == nil {
					continue
				}
				saved = true
				if err := w.SetRows(typ, given, shuffle(0)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || !saved || event.Kind.Op == "delete" {
		return nil, false, err
	}
	before, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	runs, err := c.deliver(ctx, w, event, 1)
	if err != nil {
		return nil, true, err
	}
	const what = "product rows saved again with new ids"
	if a, b := outcomesOf(last), outcomesOf(scenarioResult{runs: runs}); a != b {
		return []violation{{message: fmt.Sprintf("%s: the run ended as %s, but before as %s%s", what, b, a, reason(firstFailed(runs)))}}, true, nil
	}
	after, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	if d := compare.Diff(before.Comparable(true), after.Comparable(true)); d != "" {
		return []violation{{what + ": elements or items were changed or created again (-before +after)", d}}, true, nil
	}
	return nil, true, nil
}

func firstFailed(runs []ruleRun) ruleRun {
	for _, r := range runs {
		if r.err != nil {
			return r
		}
	}
	return ruleRun{}
}

// rowsOf returns an item with the rows that people saved last.
func (c *baseline) rowsOf(typ int, id int64) (testportal.Item, bool) {
	acts := c.test.Phases()
	for _, a := range slices.Backward(acts) {
		for _, x := range a.Change.ByType()[typ] {
			if x.ID == id && x.HasRows {
				return x, true
			}
		}
	}
	return testportal.Item{}, false
}

// maxCrashes is the largest number of crashes. For more writes, they are spread evenly.
const maxCrashes = 100

func checkCrash(ctx context.Context, c *baseline) ([]violation, bool, error) {
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

func checkAfterDelete(ctx context.Context, c *baseline) ([]violation, bool, error) {
	last := c.results[len(c.results)-1]
	event := last.phase.Scenario.Event
	gone, ok := event.WithOperation("delete")
	late, also := event.WithOperation("update")
	if !ok || !also || c.sandbox.entityType(event) == 0 {
		return nil, false, nil
	}
	w, _, err := c.runScenarios(ctx, variation{})
	if err != nil {
		return nil, true, err
	}
	defer w.Close()
	if err := w.deleteEntity(event); err != nil {
		return nil, true, err
	}
	if _, err := c.deliver(ctx, w, gone, 1); err != nil {
		return nil, true, err
	}
	before, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	w.rec.takeWrites()
	runs, err := c.deliver(ctx, w, late, 1)
	if err != nil || len(runs) == 0 {
		return nil, len(runs) > 0, err
	}
	writes := w.rec.takeWrites()
	after, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	message := fmt.Sprintf("%s arrives after the deletion and still ", late.Label)
	if d := compare.Diff(before.Comparable(true), after.Comparable(true)); d != "" {
		return []violation{{message + "changes the portal (-before +after)", d}}, true, nil
	}
	if len(writes) > 0 {
		return []violation{{message + "writes", c.callLines(writes)}}, true, nil
	}
	return nil, true, nil
}
