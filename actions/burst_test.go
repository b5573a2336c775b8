package actions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"b24rules/actions"
	"b24rules/bitrix"
	"b24rules/emulator"
	"b24rules/engine"
	"b24rules/rules"
)

// burst is many runs of the shipped rule for deals at once, in no real time, so
// that what it needs of requests and of time is the same wherever it runs.
type burst struct {
	t      testing.TB
	portal *emulator.Portal
	client *bitrix.Client
	rule   *engine.Rule
	inputs map[string]any
	memory *memory
	watch  *watched
}

// watched is the way to the portal without a network.
type watched struct {
	portal http.Handler

	mu   sync.Mutex
	sent []sentRequest
}

type sentRequest struct {
	at, took time.Duration
	commands int
	methods  string
}

var began time.Time

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.RemoteAddr = io.NopCloser(bytes.NewReader(body)), "127.0.0.1:1"
	rec := httptest.NewRecorder()
	w.portal.ServeHTTP(rec, r)
	var batch struct{ Cmd []string }
	_ = json.Unmarshal(body, &batch)
	counts := map[string]int{}
	for _, c := range batch.Cmd {
		m, _, _ := strings.Cut(c, "?")
		counts[m]++
	}
	if len(counts) == 0 {
		counts[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sentRequest{start.Sub(began), time.Since(start), max(1, len(batch.Cmd)), fmt.Sprint(counts)})
	return rec.Result(), nil
}

func newBurst(t testing.TB, cfg emulator.Config, deals int) *burst {
	t.Helper()
	cfg.EventDelay, cfg.Latency = -1, emulator.Latency{Request: 60 * time.Millisecond, Command: 15 * time.Millisecond}
	b := &burst{t: t, portal: emulator.New(cfg), memory: &memory{done: map[string]bool{}, once: map[string]string{}}}
	b.watch = &watched{portal: b.portal}
	ids := emulator.Demo(b.portal)
	var err error
	b.client, err = bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret("http://portal.example" + b.portal.WebhookPath()), HTTP: &http.Client{Transport: b.watch}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := rules.FS.ReadFile("deal-shipments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, list := engine.Compile("deal-shipments.yaml", data, actions.All)
	if list.HasErrors() {
		t.Fatal(list)
	}
	b.rule = set.Rules[0]
	b.inputs, _ = set.BindInputs(map[string]string{"list": fmt.Sprint(ids.ShipmentList)})
	var adds, sets []bitrix.Call
	for i := range deals {
		adds = append(adds, bitrix.Call{Method: "crm.item.add", Write: true, Loose: true, Params: map[string]any{"entityTypeId": 2, "fields": map[string]any{"title": "Deal"}}})
		rows := make([]any, 3)
		for j := range rows {
			rows[j] = map[string]any{"productName": fmt.Sprint("Product ", j), "price": "10.50", "quantity": i%7 + 1}
		}
		sets = append(sets, bitrix.Call{Method: "crm.item.productrow.set", Write: true, Loose: true, Params: map[string]any{"ownerType": "D", "ownerId": i + 1, "productRows": rows}})
	}
	for _, calls := range [][]bitrix.Call{adds, sets} {
		for _, a := range b.client.Do(t.Context(), calls...) {
			if a.Err != nil {
				t.Fatal(a.Err)
			}
		}
	}
	return b
}

// work runs the rule for each deal; their events come spread over a time.
func (b *burst) work(deals int, over time.Duration) (time.Duration, []sentRequest) {
	time.Sleep(time.Minute) // the bucket is empty again
	b.watch.mu.Lock()
	b.watch.sent = nil
	b.watch.mu.Unlock()
	began = time.Now()
	var wg sync.WaitGroup
	for i := range deals {
		wg.Go(func() {
			time.Sleep(over * time.Duration(i) / time.Duration(deals))
			run := engine.Run{
				Portal: "test", Client: b.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(i + 1)}, Count: 1, Attempt: 1,
				Inputs: b.inputs, Memory: &memoryOfRun{memory: b.memory},
			}
			if _, err := b.rule.Run(b.t.Context(), run); err != nil {
				b.t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(began), b.watch.sent
}

func TestBurstTrace(t *testing.T) {
	for _, many := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBurst(t, emulator.Config{ManyOwners: many}, 1000)
			defer b.portal.Close()
			defer b.client.Close()
			for range 2 {
				took, sent := b.work(1000, 600*time.Millisecond)
				t.Logf("many %t: %s, %d requests", many, took, len(sent))
				if os.Getenv("BURST_TRACE") != "" {
					for _, s := range sent {
						t.Logf("%6.2f - %6.2f n=%2d %s", s.at.Seconds(), (s.at + s.took).Seconds(), s.commands, s.methods)
					}
				}
			}
		})
	}
}
