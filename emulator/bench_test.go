package emulator_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"b24rules/emulator"
)

// BenchmarkRequest measures requests of a portal without limits and network.
func BenchmarkRequest(b *testing.B) {
	for name, c := range map[string]struct{ method, params string }{
		"profile":   {"profile", ""},
		"item.get":  {"crm.item.get", `{"entityTypeId":2,"id":1}`},
		"item.list": {"crm.item.list", `{"entityTypeId":2,"select":["id","title"],"filter":{">id":100}}`},
		"batch":     {"batch", `{"cmd":["crm.deal.get?id=1","crm.item.productrow.list?filter[%3DownerType]=D&filter[%3DownerId]=1"]}`},
	} {
		b.Run(name, func(b *testing.B) {
			p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
			defer p.Close()
			for range 1000 {
				ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x")
			}
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequest("POST", p.WebhookPath()+c.method, strings.NewReader(c.params))
				req.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				p.ServeHTTP(w, req)
				if w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
