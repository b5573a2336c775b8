package actions_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
)

// laterRules use each word of the second step of the language, next to a rule that uses none.
const laterRules = `
  reminded:
    on: [ONCRMDEALUPDATE, {schedule: "0 3 * * sun"}, {robot: recount, entities: deal}]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - entered: =deal.stageId == "WON"
        log: {message: "won, before {{ before.deal.stageId ?? '' }}"}
      - once: =deal.opportunity
        log: {message: changed}
      - when: =deal.closedate != nil
        at: =atTime(addDays(date(deal.closedate), -3), "09:00")
        log: {message: soon}
      - start: {rule: total, id: =deal.companyId}
      - id: next
        next_number: {series: CONT}
      - log: {message: "{{ next.number }}"}
  total:
    about: company
    steps:
      - log: {message: total}
  order:
    on: {hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}
    steps:
      - upsert_item: {owner: deal, key: {originId: =event.data.order}, fields: {title: =event.data.order}}
`

// memoryCounter counts what a run asks of its memory.
type memoryCounter struct {
	engine.Memory
	asked int
}

func (m *memoryCounter) Get(ctx context.Context, key string) (string, bool, error) {
	m.asked++
	return m.Memory.Get(ctx, key)
}

func (m *memoryCounter) Follow(starts []engine.Start) {
	m.asked += len(starts)
	m.Memory.Follow(starts)
}

// plainRuns returns a run of a rule without words of the second step, alone in a file and
// next to rules with all of them.
func plainRuns(t testing.TB) (alone, among func(), memory *memoryCounter) {
	t.Helper()
	s := newScript(t, emulator.Config{})
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	s.perform("rest", `crm.item.productrow.set {"ownerType":"D","ownerId":1,"productRows":[{"productId":1,"productName":"A","price":1,"quantity":1},{"productId":2,"productName":"B","price":2,"quantity":2}]}`)
	memory = &memoryCounter{Memory: s.memory}
	var portal engine.Portal = s.client
	runOf := func(file string) func() {
		set, findings := load.File("rule.yaml", []byte(file), actions.All)
		if findings.HasErrors() {
			t.Fatal(findings)
		}
		i := 0
		for set.Rules[i].ID != "shipments" {
			i++
		}
		return func() {
			r := run.Run{Portal: "test", Client: portal, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1, Memory: memory}
			if _, err := r.Do(t.Context(), set.Rules[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	alone, among = runOf(peopleRule), runOf(peopleRule+laterRules)
	alone() // fills the list
	list := func(method string, params map[string]any, wrapper string) []json.RawMessage {
		rows, err := s.client.List(t.Context(), bitrix.Call{Method: method, Params: params}, wrapper)
		if err != nil || len(rows) != 2 {
			t.Fatalf("%s: %d rows, %v", method, len(rows), err)
		}
		return rows
	}
	portal = &remembered{Portal: s.client, lists: map[string][]json.RawMessage{
		"crm.item.productrow.list": list("crm.item.productrow.list", map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": 1}}, "productRows"),
		"lists.element.get":        list("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 1}, ""),
	}}
	return alone, among, memory
}

// TestPlainRuleCostsTheSame: a rule that uses no word of the second step asks its memory
// nothing, and costs as much next to rules that use them as alone.
func TestPlainRuleCostsTheSame(t *testing.T) {
	alone, among, memory := plainRuns(t)
	a, b := testing.AllocsPerRun(50, alone), testing.AllocsPerRun(50, among)
	if ratio := b / a; ratio > 1.02 || ratio < 0.98 {
		t.Errorf("a run makes %.0f allocations alone and %.0f next to other rules", a, b)
	}
	if memory.asked > 0 {
		t.Errorf("the memory was asked %d times", memory.asked)
	}
}

// BenchmarkPlainRule measures the time of the same runs in turn, and reports the ratio.
func BenchmarkPlainRule(b *testing.B) {
	alone, among, _ := plainRuns(b)
	var took [2]time.Duration
	for b.Loop() {
		for i, work := range []func(){alone, among} {
			start := time.Now()
			work()
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "times")
}
