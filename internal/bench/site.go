package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
)

// latency is the model of a portal's answer time.
var latency = emulator.Latency{Request: 60 * time.Millisecond, Command: 15 * time.Millisecond}

const rowsPerDeal = 3

// site is a portal on loopback.
type site struct {
	name   string
	portal *emulator.Portal
	ids    emulator.DemoIDs
	base   string
	url    string // of the inbound webhook
	server *http.Server
	deals  []int
	dead   bool // it accepts connections and never answers
	shared bool // the engine is configured with shared: true
	plan   string
}

// newSite starts a portal with deals that have rows rows each.
func newSite(ctx context.Context, name string, many bool, deals, rows int) (*site, error) {
	return newSiteOn(ctx, name, emulator.Config{Latency: latency, SingleOwner: !many}, deals, rows)
}

func newSiteOn(ctx context.Context, name string, cfg emulator.Config, deals, rows int) (*site, error) {
	s := &site{name: name, portal: emulator.New(cfg), plan: cmp.Or(cfg.Plan, emulator.PlanStandard)}
	s.ids = emulator.Demo(s.portal)
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.base = "http://" + ln.Addr().String()
	s.portal.SetBaseURL(s.base)
	s.url = s.base + s.portal.WebhookPath()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(ln) }() // ends with close
	if err := s.fill(ctx, deals, rows); err != nil {
		s.close()
		return nil, fmt.Errorf("fill portal %s: %w", name, err)
	}
	s.portal.Reset()
	return s, nil
}

// ServeHTTP implements http.Handler. A dead site never answers.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.dead {
		<-r.Context().Done()
		return
	}
	s.portal.ServeHTTP(w, r)
}

func (s *site) close() {
	_ = s.server.Close()
	s.portal.Close()
}

// fill adds the deals. The portal limits each source address, and fill uses many
// loopback addresses. So filling does not use up the limit of the engine.
func (s *site) fill(ctx context.Context, deals, rows int) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	adds := make([]bitrix.Call, deals)
	for i := range adds {
		adds[i] = bitrix.Call{Method: "crm.item.add", Write: true, Params: map[string]any{
			"entityTypeId": 2, "fields": map[string]any{"title": fmt.Sprintf("Deal %d", i+1)},
		}}
	}
	if err := inParts(adds, func(part []bitrix.Call) error { return do(ctx, c, part) }); err != nil {
		return err
	}
	sets := make([]bitrix.Call, deals)
	for i := range sets {
		s.deals = append(s.deals, i+1)
		sets[i] = rowsCall("D", i+1, rows)
	}
	return inParts(sets, func(part []bitrix.Call) error { return do(ctx, c, part) })
}

func (s *site) client() (*bitrix.Client, error) {
	return bitrix.NewClient(bitrix.Config{
		Webhook: bitrix.Secret(s.url), Plan: bitrix.PlanUnlimited, InFlight: 40,
		HTTP: &http.Client{Transport: fromEverywhere()},
	})
}

// addInvoices adds smart invoices with rows and returns their ids.
func (s *site) addInvoices(ctx context.Context, n int) (ids []int, err error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for i := range n {
		added := c.Do(ctx, bitrix.Call{Method: "crm.item.add", Write: true, Params: map[string]any{
			"entityTypeId": 31, "fields": map[string]any{"title": fmt.Sprintf("Invoice %d", i+1)},
		}})[0]
		var result struct {
			Item struct {
				ID int `json:"id"`
			} `json:"item"`
		}
		if err := cmp.Or(added.Err, json.Unmarshal(added.Result, &result)); err != nil {
			return nil, err
		}
		if err := do(ctx, c, []bitrix.Call{rowsCall("SI", result.Item.ID, rowsPerDeal)}); err != nil {
			return nil, err
		}
		ids = append(ids, result.Item.ID)
	}
	return ids, nil
}

func rowsCall(ownerType string, owner, n int) bitrix.Call {
	rows := make([]any, n)
	for i := range rows {
		rows[i] = map[string]any{"productName": fmt.Sprintf("Product %d", i+1), "price": fmt.Sprintf("%d.50", 10+i), "quantity": owner%7 + 1}
	}
	return bitrix.Call{Method: "crm.item.productrow.set", Write: true, Params: map[string]any{
		"ownerType": ownerType, "ownerId": owner, "productRows": rows,
	}}
}

// inParts runs f concurrently for parts of 50 calls, because the calls of one Do wait for
// each other if one of them is a write.
func inParts(calls []bitrix.Call, f func([]bitrix.Call) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for start := 0; start < len(calls); start += 50 {
		part := calls[start:min(start+50, len(calls))]
		wg.Go(func() {
			if err := f(part); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err
			}
		})
	}
	wg.Wait()
	return failed
}

func do(ctx context.Context, c *bitrix.Client, calls []bitrix.Call) error {
	var all []error
	for _, a := range c.Do(ctx, calls...) {
		all = append(all, a.Err)
	}
	return errors.Join(all...)
}

// fromEverywhere sends each request from another loopback address.
func fromEverywhere() *http.Transport {
	var n atomic.Uint32
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		i := n.Add(1)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}}
		return d.DialContext(ctx, network, addr)
	}}
}

// fillBucket uses up the burst of the address of the engine.
func (s *site) fillBucket(ctx context.Context) {
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() { s.ping(ctx) })
	}
	wg.Wait()
	s.portal.Reset()
}

// neighbour acts as another program on this machine. It sends one request per interval
// until ctx ends, and returns how many it sent.
func (s *site) neighbour(ctx context.Context, every time.Duration) (sent int64) {
	t := time.NewTicker(every)
	defer t.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return sent
		case <-t.C:
			sent++
			wg.Go(func() { s.ping(context.WithoutCancel(ctx)) })
		}
	}
}

// ping sends a cheap request and ignores its result.
func (s *site) ping(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"profile", http.NoBody)
	if err != nil {
		return
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// refused counts the requests of the engine that the rate limit refused. It ignores the
// requests of neighbour.
func (s *site) refused() (n int64) {
	for _, c := range s.portal.Calls() {
		if c.Code == "QUERY_LIMIT_EXCEEDED" && c.Method != "profile" {
			n++
		}
	}
	return n
}

// commands returns the number of commands that the portal has executed.
func commands(s emulator.Stats) (n int64) {
	for method, k := range s.Commands {
		if method != "batch" && method != "profile" {
			n += k
		}
	}
	return n
}
