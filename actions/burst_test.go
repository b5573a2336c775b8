package actions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/rules"
)

// burst is many runs of the shipped rule for deals at once, in no real time, so
// that what it needs of requests and of time is the same wherever it runs.
type burst struct {
	t       testing.TB
	portal  *emulator.Portal
	client  *bitrix.Client
	rule    *engine.Rule
	list    int
	columns map[string]string // properties by code
	inputs  map[string]any
	watch   *watched
}

// watched is the way to the portal without a network. It keeps what was sent.
type watched struct {
	portal http.Handler

	mu    sync.Mutex
	began time.Time
	sent  []sentRequest
}

type sentRequest struct {
	from, to time.Duration
	commands int
	methods  map[string]int
}

func (s sentRequest) String() string {
	return fmt.Sprintf("%6.2f to %6.2f s, %2d commands: %v", s.from.Seconds(), s.to.Seconds(), s.commands, s.methods)
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.RemoteAddr = io.NopCloser(bytes.NewReader(body)), "127.0.0.1:1"
	answer := httptest.NewRecorder()
	w.portal.ServeHTTP(answer, r)
	var batch struct{ Cmd []string }
	_ = json.Unmarshal(body, &batch) // a single call has none
	s := sentRequest{commands: max(1, len(batch.Cmd)), methods: map[string]int{}}
	for _, c := range batch.Cmd {
		method, _, _ := strings.Cut(c, "?")
		s.methods[method]++
	}
	if len(batch.Cmd) == 0 {
		s.methods[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.from, s.to = start.Sub(w.began), time.Since(w.began)
	w.sent = append(w.sent, s)
	return answer.Result(), nil
}

func (w *watched) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.began = nil, time.Now()
}

func newBurst(t testing.TB, cfg emulator.Config, deals int, change ...func(*bitrix.Config)) *burst {
	t.Helper()
	cfg.EventDelay, cfg.Latency = -1, emulator.Latency{Request: 60 * time.Millisecond, Command: 15 * time.Millisecond}
	b := &burst{t: t, portal: emulator.New(cfg)}
	b.watch = &watched{portal: b.portal}
	ids := emulator.Demo(b.portal)
	var err error
	client := bitrix.Config{Webhook: bitrix.Secret("http://portal.example" + b.portal.WebhookPath()), HTTP: &http.Client{Transport: b.watch}}
	for _, c := range change {
		c(&client)
	}
	b.client, err = bitrix.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	data, err := rules.FS.ReadFile("deal-shipments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, list := load.File("deal-shipments.yaml", data, actions.All)
	if list.HasErrors() {
		t.Fatal(list)
	}
	b.rule, b.list, b.columns = set.Rules[0], ids.ShipmentList, ids.Properties
	b.inputs, _ = set.BindInputs(map[string]string{"list": fmt.Sprint(ids.ShipmentList)})
	b.fill(deals)
	return b
}

// fill adds deals with 3 rows each.
func (b *burst) fill(deals int) {
	b.t.Helper()
	var adds []bitrix.Call
	for range deals {
		adds = append(adds, bitrix.Call{Method: "crm.item.add", Write: true, Unordered: true, Params: map[string]any{"entityTypeId": 2, "fields": map[string]any{"title": "Deal"}}})
	}
	b.do(adds...)
	b.setRows(deals, 1)
}

// setRows gives each deal 3 rows.
func (b *burst) setRows(deals, least int) {
	b.t.Helper()
	var sets []bitrix.Call
	for i := range deals {
		rows := make([]any, 3)
		for j := range rows {
			rows[j] = map[string]any{"productName": fmt.Sprint("Product ", j), "price": "10.50", "quantity": i%7 + least}
		}
		sets = append(sets, bitrix.Call{Method: "crm.item.productrow.set", Write: true, Unordered: true, Params: map[string]any{"ownerType": "D", "ownerId": i + 1, "productRows": rows}})
	}
	b.do(sets...)
}

func (b *burst) do(calls ...bitrix.Call) {
	b.t.Helper()
	for _, a := range b.client.Do(b.t.Context(), calls...) {
		if a.Err != nil {
			b.t.Fatal(a.Err)
		}
	}
}

// work runs the rule for each deal; their events come spread over a time.
func (b *burst) work(deals int, over time.Duration) (time.Duration, []sentRequest) {
	time.Sleep(time.Minute) // the bucket is empty again
	return b.run(deals, over)
}

// run is work that takes the bucket as it is.
func (b *burst) run(deals int, over time.Duration) (time.Duration, []sentRequest) {
	b.watch.reset()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range deals {
		wg.Go(func() {
			time.Sleep(over * time.Duration(i) / time.Duration(deals))
			run := run.Run{
				Portal: "test", Client: b.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(i + 1)}, Count: 1, Attempt: 1,
				Inputs: b.inputs, Memory: &run.LocalMemory{},
			}
			if _, err := run.Do(b.t.Context(), b.rule); err != nil {
				b.t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(start), b.watch.sent
}

// TestBurst bounds what many events at once cost: requests, of which the portal
// takes 2 a second after the first 50, and time. 200 deals with 3 rows are 600
// writes, 12 full requests. BURST=1000 is the cases 1 and 2 of the benchmark;
// -v shows every request.
func TestBurst(t *testing.T) {
	deals := 200
	n, err := strconv.Atoi(os.Getenv("BURST"))
	if err == nil {
		deals = n
	}
	tests := []struct {
		many     bool
		requests [2]int // for an empty list, and when nothing has changed
		time     [2]time.Duration
	}{
		{true, [2]int{26, 10}, [2]time.Duration{6 * time.Second, 2 * time.Second}},
		{false, [2]int{29, 15}, [2]time.Duration{6 * time.Second, 2500 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("many owners %t", tt.many), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBurst(t, emulator.Config{SingleOwner: !tt.many}, deals)
				defer b.portal.Close()
				defer b.client.Close()
				for i, what := range []string{"list empty", "unchanged"} {
					before := b.client.Stats().Writes
					took, sent := b.work(deals, 600*time.Millisecond)
					t.Logf("%s: %s, %d requests", what, took, len(sent))
					for _, s := range sent {
						t.Log(s)
					}
					if n == 0 && (len(sent) > tt.requests[i] || took > tt.time[i]) {
						t.Errorf("%s: %d requests in %s, want at most %d in %s", what, len(sent), took, tt.requests[i], tt.time[i])
					}
					if writes := b.client.Stats().Writes - before; writes != int64(3*deals*(1-i)) {
						t.Errorf("%s: %d writes", what, writes)
					}
				}
				if got := b.elements(); got != 3*deals {
					t.Errorf("the list has %d elements, want %d", got, 3*deals)
				}
			})
		})
	}
}

// elements counts the elements of the list.
func (b *burst) elements() int {
	a := b.client.Do(b.t.Context(), bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": b.list}})[0]
	if a.Err != nil {
		b.t.Fatal(a.Err)
	}
	return a.Total
}

// TestOneEventAlone: a single run reads in one request and writes in another, also
// when it has not read the list before.
func TestOneEventAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(t, emulator.Config{}, 1)
		defer b.portal.Close()
		defer b.client.Close()
		// Its fields are known. TestBurst has the case where they are not.
		if _, err := b.client.ListFields(t.Context(), "lists", b.list); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{2, 1} { // nothing has changed the second time
			took, sent := b.work(1, 0)
			for _, s := range sent {
				t.Log(s)
			}
			if len(sent) != want || took > 250*time.Millisecond {
				t.Errorf("run %d: %d requests in %s, want %d", i+1, len(sent), took, want)
			}
		}
	})
}
