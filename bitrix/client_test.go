package bitrix_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

func get(id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": 2, "id": id}}
}

func update(id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.update", Write: true, Params: map[string]any{"entityTypeId": 2, "id": id, "fields": map[string]any{"title": "a & b = c+d%"}}}
}

// items answers crm.item.get, knows no id over 1000, and answers updates with what
// was sent, as the item.
func items() map[string]methodFunc {
	return map[string]methodFunc{
		"crm.item.get": func(p *php.Array) reply {
			id := fmt.Sprint(first(p, "id"))
			if len(id) > 3 {
				return reply{code: "NOT_FOUND", text: "Not found"}
			}
			return reply{result: object("item", object("id", json.Number(id)))}
		},
		"crm.item.update": func(p *php.Array) reply { return reply{result: object("item", p)} },
	}
}

func first(a *php.Array, key string) any {
	v, _ := a.Get(key)
	return v
}

func results(answers []bitrix.Answer) []string {
	var out []string
	for _, a := range answers {
		if a.Err != nil {
			out = append(out, a.Err.Error())
			continue
		}
		out = append(out, string(a.Result))
	}
	return out
}

func TestSingleCallGoesUnbatched(t *testing.T) {
	p := &portal{methods: items()}
	c := newClient(t, p)
	a := c.Do(t.Context(), get(5))
	if diff := cmp.Diff([]string{`{"item":{"id":5}}`}, results(a)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"crm.item.get"}, p.asked()); diff != "" {
		t.Error(diff)
	}
}

func TestCallsOfOneDoShareABatch(t *testing.T) {
	p := &portal{methods: items()}
	c := newClient(t, p)
	a := c.Do(t.Context(), get(1), get(5000), update(7), get(2))
	want := []string{
		`{"item":{"id":1}}`, "crm.item.get: NOT_FOUND: Not found",
		`{"item":{"entityTypeId":"2","fields":{"title":"a & b = c+d%"},"id":"7"}}`, `{"item":{"id":2}}`,
	}
	if diff := cmp.Diff(want, results(a)); diff != "" {
		t.Error(diff)
	}
	if !bitrix.IsNotFound(a[1].Err) || bitrix.IsNotFound(a[0].Err) {
		t.Errorf("not found: %v", a[1].Err)
	}
	if diff := cmp.Diff([]string{"batch(crm.item.get crm.item.get crm.item.update crm.item.get)"}, p.asked()); diff != "" {
		t.Error(diff)
	}
	if s := c.Stats(); s.Requests != 1 || s.Batches != 1 || s.Commands != 4 || s.Writes != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestWritesKeepTheirOrder sends 120 writes: three requests, one after another.
func TestWritesKeepTheirOrder(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	p := &portal{methods: map[string]methodFunc{"crm.item.update": func(a *php.Array) reply {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(first(a, "id")))
		return reply{result: object("item", a)}
	}}}
	c := newClient(t, p)
	var calls []bitrix.Call
	var want []string
	for i := range 120 {
		calls = append(calls, update(i+1))
		want = append(want, fmt.Sprint(i+1))
	}
	for i, a := range c.Do(t.Context(), calls...) {
		if a.Err != nil {
			t.Fatalf("call %d: %v", i, a.Err)
		}
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if n := len(p.asked()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestOrderAcrossRequests: a write that needs its own request does not let
// later ones overtake it.
func TestOrderAcrossRequests(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	p := &portal{methods: map[string]methodFunc{"write": func(a *php.Array) reply {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(first(a, "id")))
		return reply{result: true}
	}}}
	c := newClient(t, p)
	write := func(id int, v any) bitrix.Call {
		return bitrix.Call{Method: "write", Write: true, Params: map[string]any{"id": id, "v": v}}
	}
	c.Do(t.Context(), write(1, "x"), write(2, nil), write(3, "x"), write(4, "x"))
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, seen); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"write", "write", "batch(write write)"}, p.asked()); diff != "" {
		t.Error(diff)
	}
}

// TestWritesStayTogether: the writes of one caller are not torn apart to fill a
// request.
func TestWritesStayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(time.Second)
			return false
		}}
		c := newClient(t, p, func(cfg *bitrix.Config) { cfg.InFlight = 1 })
		defer c.Close()
		var all sync.WaitGroup
		all.Go(func() { c.Do(t.Context(), get(1)) }) // keeps the sender busy
		synctest.Wait()
		for _, n := range []int{30, 30, 15} {
			all.Go(func() {
				calls := make([]bitrix.Call, n)
				for i := range calls {
					calls[i] = update(i)
				}
				c.Do(t.Context(), calls...)
			})
			synctest.Wait()
		}
		all.Wait()
		var sizes []int
		for _, r := range p.asked() {
			sizes = append(sizes, len(strings.Fields(r)))
		}
		if diff := cmp.Diff([]int{1, 45, 30}, sizes); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCallersShareRequests holds what many callers cost: what becomes ready
// while two requests are in progress travels in the next one.
func TestCallersShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(100 * time.Millisecond)
			return false
		}}
		c := newClient(t, p)
		defer c.Close()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				a := c.Do(t.Context(), get(i))[0]
				if want := fmt.Sprintf(`{"item":{"id":%d}}`, i); string(a.Result) != want || a.Err != nil {
					t.Errorf("caller %d got %s, %v", i, a.Result, a.Err)
				}
			})
		}
		wg.Wait()
		if n := len(p.asked()); n > 5 {
			t.Errorf("100 callers cost %d requests, want at most 5: %v", n, p.asked())
		}
	})
}

// TestFairness: one caller with 1000 reads does not hold up another.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(time.Second)
			return false
		}}
		c := newClient(t, p, func(cfg *bitrix.Config) { cfg.InFlight = 1 })
		defer c.Close()
		many := make([]bitrix.Call, 1000)
		for i := range many {
			many[i] = get(1)
		}
		var wg sync.WaitGroup
		wg.Go(func() { c.Do(t.Context(), many...) })
		synctest.Wait()
		start := time.Now()
		if a := c.Do(t.Context(), get(7))[0]; a.Err != nil {
			t.Error(a.Err)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("the small caller waited %s, want at most 3 requests", d)
		}
		wg.Wait()
	})
}

// TestGivingUp: a caller that goes does not take others with it.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(time.Second)
			return false
		}}
		c := newClient(t, p, func(cfg *bitrix.Config) { cfg.InFlight = 1 })
		defer c.Close()
		var wg sync.WaitGroup
		wg.Go(func() { c.Do(t.Context(), get(1)) }) // keeps the sender busy
		synctest.Wait()
		wg.Go(func() {
			if a := c.Do(t.Context(), get(2))[0]; a.Err != nil {
				t.Errorf("the patient caller: %v", a.Err)
			}
		})
		gone := func(wait time.Duration, want bitrix.Outcome) {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			err := c.Do(ctx, update(3))[0].Err
			var e *bitrix.Error
			if !errors.As(err, &e) || e.Outcome != want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: %#v, want outcome %s", wait, err, want)
			}
		}
		wg.Go(func() { gone(500*time.Millisecond, bitrix.NotExecuted) }) // waits in the queue
		wg.Go(func() { gone(1500*time.Millisecond, bitrix.Unknown) })    // in progress
		wg.Wait()
	})
}

// TestUnbatchable holds that a value whose meaning a query string would change goes
// as JSON.
func TestUnbatchable(t *testing.T) {
	many := make([]any, 1000)
	for i := range many {
		many[i] = i
	}
	tests := []struct {
		name   string
		value  any
		want   string // as the portal sees it
		single bool
	}{
		{"nil", nil, `null`, true},
		{"true", true, `true`, true},
		{"empty list", []any{}, `[]`, true},
		{"reference", "costs $Result[a][b]", `"costs $Result[a][b]"`, true},
		{"more than max_input_vars", many, "", true},
		{"false", false, `"0"`, false},
		{"number", 10.5, `"10.5"`, false},
		{"dollar", "costs $5, total $", `"costs $5, total $"`, false},
		{"special", "a&b=c+d%20#ü\n", `"a&b=c+d%20#ü\n"`, false},
		{"nested", map[string]any{">=a.b c": []any{1, "2"}}, `{">=a.b c":["1","2"]}`, false},
		{"key with a bracket", map[string]any{"a]": "1"}, `{"a]":"1"}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &portal{methods: map[string]methodFunc{"m": func(a *php.Array) reply { return reply{result: first(a, "v")} }}}
			c := newClient(t, p, func(cfg *bitrix.Config) { cfg.InFlight = 1 })
			a := c.Do(t.Context(), bitrix.Call{Method: "m", Params: map[string]any{"v": "x"}}, bitrix.Call{Method: "m", Params: map[string]any{"v": tt.value}}, bitrix.Call{Method: "m", Params: map[string]any{"v": "y"}})
			if a[1].Err != nil || tt.want != "" && string(a[1].Result) != tt.want {
				t.Errorf("the portal saw %s (%v), want %s", a[1].Result, a[1].Err, tt.want)
			}
			if single := strings.Join(p.asked(), " ") != "batch(m m m)"; single != tt.single {
				t.Errorf("requests %v, want a single one %v", p.asked(), tt.single)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	c := newClient(t, &portal{methods: items()})
	c.Close()
	a := c.Do(t.Context(), get(1))[0]
	var e *bitrix.Error
	if !errors.Is(a.Err, bitrix.ErrClosed) || !errors.As(a.Err, &e) || e.Outcome != bitrix.NotExecuted {
		t.Errorf("got %v", a.Err)
	}
	if a := c.Do(t.Context()); len(a) != 0 {
		t.Errorf("no calls give %v", a)
	}
}

func TestMaxWaiting(t *testing.T) {
	c := newClient(t, &portal{methods: items()}, func(cfg *bitrix.Config) { cfg.MaxWaiting = 2 })
	a := c.Do(t.Context(), get(1), get(2), get(3))[0]
	var e *bitrix.Error
	if !errors.As(a.Err, &e) || !e.Temporary() || e.Outcome != bitrix.NotExecuted {
		t.Errorf("got %v", a.Err)
	}
}

func TestBadCalls(t *testing.T) {
	c := newClient(t, &portal{methods: items()})
	a := c.Do(t.Context(), bitrix.Call{Method: "../../x"}, bitrix.Call{Method: "m", Params: map[string]any{"f": func() {}}}, get(1))
	if a[0].Err == nil || a[1].Err == nil || a[2].Err != nil {
		t.Errorf("got %v", results(a))
	}
}

func TestNewClientRefuses(t *testing.T) {
	for _, url := range []string{"", "x", "ftp://h/rest/1/" + secretCode + "/", "https://h/" + secretCode, "https://h/rest/1/" + secretCode + "/?a=b", "https://h:x/rest/1/" + secretCode} {
		_, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(url)})
		if err == nil || strings.Contains(err.Error(), secretCode) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := bitrix.NewClient(bitrix.Config{Webhook: webhook, Plan: "gold"}); err == nil {
		t.Error("the plan gold was taken")
	}
}

func TestCallDecodes(t *testing.T) {
	c := newClient(t, &portal{methods: items()})
	var got struct {
		Item struct {
			ID bitrix.ID `json:"id"`
		} `json:"item"`
	}
	if err := c.Call(t.Context(), "crm.item.get", map[string]any{"id": 5}, &got); err != nil || got.Item.ID != 5 {
		t.Errorf("got %v, %v", got, err)
	}
	var wrong []string
	if err := c.Call(t.Context(), "crm.item.get", map[string]any{"id": 5}, &wrong); !bitrix.IsCode(err, bitrix.CodeBadAnswer) {
		t.Errorf("got %v", err)
	}
}

// TestLaterLeavesTheBurst: work that can wait leaves two requests of a burst, and a call
// that cannot wait goes before it.
func TestLaterLeavesTheBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(100 * time.Millisecond)
			return false
		}}
		c := newClient(t, p)
		defer c.Close()
		single := get(1)
		single.Params["all"] = true // cannot be part of a batch
		fill := slices.Repeat([]bitrix.Call{single}, 100)
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, a := range (bitrix.Later{Client: c}).Do(t.Context(), fill...) {
				if a.Err != nil {
					t.Error(a.Err)
				}
			}
		})
		time.Sleep(10 * time.Second)
		if n := c.Stats().Requests; n < 47 || n > 47+20+1 {
			t.Errorf("%d requests after 10 s, want a burst of 49 less 2, and 2 a second", n)
		}
		time.Sleep(250 * time.Millisecond) // between two of the others
		for _, tt := range []struct {
			calls int
			limit time.Duration
		}{{2, 2 * 200 * time.Millisecond}, {20, 20 * 600 * time.Millisecond}} {
			start := time.Now()
			for range tt.calls {
				if a := c.Do(t.Context(), single)[0]; a.Err != nil {
					t.Error(a.Err)
				}
			}
			if d := time.Since(start); d > tt.limit {
				t.Errorf("%d calls that cannot wait took %s", tt.calls, d)
			}
		}
		wg.Wait()
	})
}

// TestSingleDoesNotWaitForOthers: a call that cannot be part of a batch leaves at once while
// another request is in progress, because no call can join it.
func TestSingleDoesNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(http.ResponseWriter, string) bool {
			time.Sleep(time.Second)
			return false
		}}
		c := newClient(t, p)
		defer c.Close()
		for range 4 { // then several requests may be in progress
			c.Do(t.Context(), get(1))
		}
		go c.Do(t.Context(), get(2))
		time.Sleep(10 * time.Millisecond)
		single := get(1)
		single.Params["all"] = true // cannot be part of a batch
		start := time.Now()
		c.Do(t.Context(), single)
		if d := time.Since(start); d > time.Second+10*time.Millisecond {
			t.Errorf("the call took %s, and its request a second", d)
		}
	})
}

// TestLaterIsNotForgotten: a stream of calls that cannot wait does not hold up
// the others for ever.
func TestLaterIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &portal{methods: items()})
		defer c.Close()
		single := get(1)
		single.Params["all"] = true
		ended := make(chan struct{})
		var wg sync.WaitGroup
		for range 200 { // they keep the bucket full
			wg.Go(func() {
				for {
					select {
					case <-ended:
						return
					default:
						c.Do(t.Context(), single)
					}
				}
			})
		}
		time.Sleep(time.Minute)
		start := time.Now()
		if a := (bitrix.Later{Client: c}).Do(t.Context(), single)[0]; a.Err != nil {
			t.Error(a.Err)
		}
		if d := time.Since(start); d < time.Minute/2 || d > 4*time.Minute {
			t.Errorf("it waited %s", d)
		}
		close(ended)
		wg.Wait()
	})
}
