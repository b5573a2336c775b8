package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/redact"
)

// BenchmarkRecord is what the history of a run costs: the time to write its
// record down, and how many bytes are kept. Written runs have an element added
// for each row, unchanged ones find everything as it should be.
func BenchmarkRecord(b *testing.B) {
	for _, rows := range []int{3, 20, 100} {
		for _, written := range []bool{false, true} {
			name := fmt.Sprintf("%drows/unchanged", rows)
			if written {
				name = fmt.Sprintf("%drows/written", rows)
			}
			b.Run(name, func(b *testing.B) {
				trace := shippedRun(b, rows, written)
				hide := redact.New("https://portal.bitrix24.com/rest/1/abcdefgh12345678/", "0123456789abcdef0123456789abcdef")
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					size = len(trace.Record(0, hide))
				}
				b.ReportMetric(float64(size), "bytes/record")
			})
		}
	}
}

// shippedRun is a run of the shipped rule for a deal.
func shippedRun(tb testing.TB, rows int, written bool) *history.Trace {
	tb.Helper()
	s := newScript(tb, emulator.Config{})
	text, err := os.ReadFile("../rules/deal-shipments.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	set, findings := load.File("rules/deal-shipments.yaml", text, actions.All)
	if findings.HasErrors() {
		tb.Fatal(findings)
	}
	inputs, problems := set.BindInputs(map[string]string{"list": "47"})
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	emulator.Demo(s.portal)
	var given []map[string]any
	for i := range rows {
		given = append(given, map[string]any{"productId": i + 1, "productName": fmt.Sprint("Плитка ", i), "price": 33.33, "quantity": 2})
	}
	run := run.Run{Portal: "test", Client: s.client, Count: 1, Attempt: 1, Inputs: inputs, Memory: s.memory}
	answer := s.client.Do(context.Background(), bitrix.Call{Method: "crm.deal.add", Write: true, Params: map[string]any{"fields": map[string]any{"TITLE": "Roof"}}})[0]
	var id int
	if err := json.Unmarshal(answer.Result, &id); err != nil {
		tb.Fatal(err, answer.Err)
	}
	run.Entity = engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(id)}
	call := bitrix.Call{Method: "crm.item.productrow.set", Write: true, Params: map[string]any{"ownerType": "D", "ownerId": id, "productRows": given}}
	if a := s.client.Do(context.Background(), call)[0]; a.Err != nil {
		tb.Fatal(a.Err)
	}
	if !written {
		if _, err := run.Do(context.Background(), set.Rules[0]); err != nil {
			tb.Fatal(err)
		}
	}
	trace, err := run.Do(context.Background(), set.Rules[0])
	if err != nil || (trace.Writes > 0) != written {
		tb.Fatalf("%d writes, %v", trace.Writes, err)
	}
	return trace
}
