package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
)

// remembered answers listings with what the portal has said before, so that
// nothing is measured but our own work.
type remembered struct {
	engine.Portal
	lists map[string][]json.RawMessage // by method
}

func (r *remembered) List(_ context.Context, call bitrix.Call, _ string) ([]json.RawMessage, error) {
	return r.lists[call.Method], nil
}

// BenchmarkUnchangedDeal measures the cost of a run without the portal: formulas,
// the comparison with the list, the trace.
func BenchmarkUnchangedDeal(b *testing.B) {
	for _, rows := range []int{3, 100} {
		b.Run(fmt.Sprintf("%drows", rows), func(b *testing.B) { benchmarkUnchanged(b, rows) })
	}
}

func benchmarkUnchanged(b *testing.B, rows int) {
	s := newScript(b, emulator.Config{})
	set, findings := load.File("rule.yaml", []byte(peopleRule), actions.All)
	if findings.HasErrors() {
		b.Fatal(findings)
	}
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	var given []map[string]any
	for i := range rows {
		given = append(given, map[string]any{"productId": i + 1, "productName": fmt.Sprint("Product ", i), "price": 1.5, "quantity": 2})
	}
	call := bitrix.Call{Method: "crm.item.productrow.set", Write: true, Params: map[string]any{"ownerType": "D", "ownerId": 1, "productRows": given}}
	if a := s.client.Do(b.Context(), call)[0]; a.Err != nil {
		b.Fatal(a.Err)
	}
	run := run.Run{Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1}
	work := func() {
		run.Memory = s.memory
		if _, err := run.Do(b.Context(), set.Rules[0]); err != nil {
			b.Fatal(err)
		}
	}
	work() // fills the list
	run.Client = &remembered{Portal: s.client, lists: map[string][]json.RawMessage{
		"crm.item.productrow.list": s.listing(b, "crm.item.productrow.list", map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": 1}}, "productRows"),
		"lists.element.get":        s.listing(b, "lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 1}, ""),
	}}
	b.ReportAllocs()
	for b.Loop() {
		work()
	}
}

func (s *script) listing(b *testing.B, method string, params map[string]any, wrapper string) []json.RawMessage {
	b.Helper()
	rows, err := s.client.List(b.Context(), bitrix.Call{Method: method, Params: params}, wrapper)
	if err != nil || len(rows) == 0 {
		b.Fatalf("%s: %d rows, %v", method, len(rows), err)
	}
	return rows
}
