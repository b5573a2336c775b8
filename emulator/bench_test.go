package emulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
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

// BenchmarkElementAdd adds elements to lists of different lengths. The time for one does not
// depend on the length.
func BenchmarkElementAdd(b *testing.B) {
	for _, length := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(length), func(b *testing.B) {
			p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, KeepCalls: -1, KeepChanges: -1})
			defer p.Close()
			emulator.Demo(p)
			n := 0
			add := func() {
				n++
				status, body := ask(p, "192.0.2.1", "lists.element.add", fmt.Sprintf(
					"IBLOCK_TYPE_ID=lists&IBLOCK_ID=47&ELEMENT_CODE=e%d&FIELDS[NAME]=E&FIELDS[PROPERTY_101]=%d&FIELDS[PROPERTY_105]=1", n, n/3))
				if status != http.StatusOK {
					b.Fatal(body)
				}
			}
			for range length {
				add()
			}
			b.ReportAllocs()
			for b.Loop() {
				add()
			}
		})
	}
}

// BenchmarkElementsOfOwner reads the elements of one deal out of lists of different lengths.
func BenchmarkElementsOfOwner(b *testing.B) {
	for _, length := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(length), func(b *testing.B) {
			p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, KeepCalls: -1, KeepChanges: -1})
			defer p.Close()
			emulator.Demo(p)
			for n := range length {
				ask(p, "192.0.2.1", "lists.element.add", fmt.Sprintf(
					"IBLOCK_TYPE_ID=lists&IBLOCK_ID=47&ELEMENT_CODE=e%d&FIELDS[NAME]=E&FIELDS[PROPERTY_101]=%d", n, n/3))
			}
			b.ReportAllocs()
			for b.Loop() {
				status, body := ask(p, "192.0.2.1", "lists.element.get", "IBLOCK_TYPE_ID=lists&IBLOCK_ID=47&FILTER[%3DPROPERTY_101]=7")
				if status != http.StatusOK || strings.Count(body, "IBLOCK_ID") != 3 {
					b.Fatal(body)
				}
			}
		})
	}
}

// BenchmarkServed measures requests over HTTP, as clients send them: 16 at a
// time over connections that stay open.
func BenchmarkServed(b *testing.B) {
	for name, c := range map[string]struct{ method, params string }{
		"profile":     {"profile", ""},
		"item.get":    {"crm.item.get", `{"entityTypeId":2,"id":1}`},
		"update":      {"crm.deal.update", `{"id":1,"fields":{"TITLE":"x"}}`},
		"batch of 50": {"batch", `{"cmd":[` + strings.TrimSuffix(strings.Repeat(`"crm.deal.get?id=1",`, 50), ",") + `]}`},
	} {
		b.Run(name, func(b *testing.B) {
			p := open(b, emulator.Config{})
			p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := client.Post(p.url+p.WebhookPath()+c.method, "application/json", strings.NewReader(c.params))
					if err != nil {
						b.Error(err)
						return
					}
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK {
						b.Errorf("status %d, %v", resp.StatusCode, err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}
