package bitrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"b24rules/bitrix"
)

// bubble runs a test in virtual time with a client that is closed at its end.
func bubble(t *testing.T, p *portal, cfg bitrix.Config, f func(t *testing.T, c *bitrix.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := p.client(cfg)
		defer c.Close()
		f(t, c)
	})
}

func TestWebhookURL(t *testing.T) {
	for _, good := range []bitrix.Secret{testWebhook, "http://127.0.0.1:80/rest/1/x", "https://p.example/sub/rest/12/abc/"} {
		if _, err := bitrix.NewClient(bitrix.Config{Webhook: good}); err != nil {
			t.Errorf("%s: %v", good.Reveal(), err)
		}
	}
	for _, bad := range []bitrix.Secret{"", "portal.example/rest/1/s3cr3tc0de/", "https://p.example/s3cr3tc0de/", "https://p.example/rest/1/s3cr3tc0de/?a=1", "ftp://p/rest/1/s3cr3tc0de", "https://p/rest/%zz/s3cr3tc0de/"} {
		_, err := bitrix.NewClient(bitrix.Config{Webhook: bad})
		if err == nil || strings.Contains(err.Error(), testSecret) || !strings.Contains(err.Error(), "/rest/USER/CODE/") {
			t.Errorf("%s: error %v", bad.Reveal(), err)
		}
	}
}

func TestCall(t *testing.T) {
	p := &portal{methods: map[string]func(url.Values) (int, string){
		"crm.item.get": func(v url.Values) (int, string) {
			if v.Get("id") == "404" {
				return 400, `{"error":"NOT_FOUND","error_description":"Element not found"}`
			}
			return 200, `{"result":{"item":{"id":` + v.Get("id") + `}}}`
		},
		"crm.deal.get": func(url.Values) (int, string) { return 400, `{"error":"","error_description":"Not found"}` },
		"crm.type.get": func(url.Values) (int, string) { return 400, `{"error":0,"error_description":"x"}` },
	}}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		var got struct{ Item struct{ ID bitrix.ID } }
		if err := c.Call(t.Context(), "crm.item.get", map[string]any{"id": 7}, &got); err != nil || got.Item.ID != 7 {
			t.Errorf("got %+v, %v", got, err)
		}
		for _, tt := range []struct {
			method   string
			notFound bool
			code     string
			outcome  bitrix.Outcome
		}{
			{"crm.item.get", true, "NOT_FOUND", bitrix.Executed},
			{"crm.deal.get", true, "", bitrix.Executed},
			{"crm.type.get", false, "0", bitrix.Executed},
			{"crm.itm.get", false, "ERROR_METHOD_NOT_FOUND", bitrix.NotExecuted},
		} {
			err := c.Call(t.Context(), tt.method, map[string]any{"id": 404}, nil)
			var e *bitrix.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Outcome != tt.outcome || bitrix.IsNotFound(err) != tt.notFound || e.Method != tt.method || e.Temporary() {
				t.Errorf("%s: %#v", tt.method, err)
			}
		}
	})
}

// TestBatching sends what is ready at the same time together, and a single
// call of an idle client alone.
func TestBatching(t *testing.T) {
	p := &portal{latency: 100 * time.Millisecond, methods: map[string]func(url.Values) (int, string){
		"echo": func(v url.Values) (int, string) { return 200, `{"result":"` + v.Get("n") + `"}` },
		"fail": func(url.Values) (int, string) { return 400, `{"error":"ACCESS_DENIED","error_description":"no"}` },
		"null": ok("null"),
	}}
	bubble(t, p, bitrix.Config{InFlight: 1}, func(t *testing.T, c *bitrix.Client) {
		call := func(n int) bitrix.Call { return bitrix.Call{Method: "echo", Params: map[string]any{"n": n}} }
		if a := c.Do(t.Context(), call(1)); string(a[0].Result) != `"1"` && string(a[0].Result) != "1" {
			t.Errorf("got %s, %v", a[0].Result, a[0].Err)
		}
		answers := c.Do(t.Context(), call(2), bitrix.Call{Method: "fail"}, bitrix.Call{Method: "null"}, call(3))
		var got []string
		for _, a := range answers {
			got = append(got, fmt.Sprint(string(a.Result), a.Err != nil))
		}
		if diff := cmp.Diff([]string{`"2"false`, "true", "nullfalse", `"3"false`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !bitrix.IsCode(answers[1].Err, "access_denied") {
			t.Errorf("error %v", answers[1].Err)
		}
		// Twenty runs ask at once while a request is under way.
		p.requests = nil
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				a := c.Do(t.Context(), call(i), call(100+i))
				if string(a[0].Result) != fmt.Sprintf(`"%d"`, i) || string(a[1].Result) != fmt.Sprintf(`"%d"`, 100+i) {
					t.Errorf("run %d got %s and %s", i, a[0].Result, a[1].Result)
				}
			})
		}
		wg.Wait()
		if len(p.requests) > 2 {
			t.Errorf("%d requests for 40 calls, want 2 at most: %q", len(p.requests), p.requests)
		}
		// More than a batch holds.
		p.requests = nil
		var many []bitrix.Call
		for i := range 120 {
			many = append(many, call(i))
		}
		for i, a := range c.Do(t.Context(), many...) {
			if string(a.Result) != fmt.Sprintf(`"%d"`, i) {
				t.Errorf("call %d got %s, %v", i, a.Result, a.Err)
			}
		}
		if len(p.requests) != 3 {
			t.Errorf("%d requests for 120 calls, want 3", len(p.requests))
		}
	})
}

// TestLimiter keeps the portal's leaky bucket: nothing is ever refused, and the
// time is the one that the portal's rate allows.
func TestLimiter(t *testing.T) {
	level, at, refused := 0.0, time.Time{}, 0
	p := &portal{methods: map[string]func(url.Values) (int, string){"x": ok("1")}}
	p.whole = func(string) (int, string, error) {
		if !at.IsZero() {
			level = max(0, level-2*time.Since(at).Seconds())
		}
		at = time.Now()
		if level+1 > 50 {
			refused++
			return 503, `{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`, nil
		}
		level++
		return 0, "", nil
	}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		started := time.Now()
		for range 150 {
			if a := c.Do(t.Context(), bitrix.Call{Method: "x"})[0]; a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		took := time.Since(started)
		if refused != 0 || took < 50*time.Second || took > 52*time.Second {
			t.Errorf("150 requests took %s with %d refused, want 50s and none", took, refused)
		}
		// Others fill the bucket: refusals are waited out, and no call fails.
		level = 55
		for range 10 {
			if a := c.Do(t.Context(), bitrix.Call{Method: "x"})[0]; a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		if refused == 0 || refused > 3 || c.Stats().Refused != int64(refused) {
			t.Errorf("%d refused, counted %d", refused, c.Stats().Refused)
		}
	})
}

// TestOutcomes repeats what surely did not run and reads of unknown outcome,
// and leaves writes of unknown outcome to the caller.
func TestOutcomes(t *testing.T) {
	dial := &url.Error{Op: "Post", URL: testWebhook, Err: errors.New("dial tcp: connection refused")}
	tests := []struct {
		name    string
		write   bool
		whole   func(n int) (int, string, error) // answers the nth request, 0 lets it through
		tries   int
		outcome bitrix.Outcome
		fails   bool
	}{
		{"truncated read", false, func(n int) (int, string, error) { return 200 * b2i(n == 1), `{"result":`, nil }, 2, 0, false},
		{"HTML instead of a read", false, func(n int) (int, string, error) { return 502 * b2i(n < 3), `<html>`, nil }, 3, 0, false},
		{"reads are not repeated for ever", false, func(int) (int, string, error) { return 502, `<html>`, nil }, 3, bitrix.Unknown, true},
		{"truncated write", true, func(int) (int, string, error) { return 200, `{"result":`, nil }, 1, bitrix.Unknown, true},
		{"internal error of a write", true, func(int) (int, string, error) { return 500, `{"error":"INTERNAL_SERVER_ERROR"}`, nil }, 1, bitrix.Unknown, true},
		{"never sent", true, func(n int) (int, string, error) {
			if n == 1 {
				return 0, "", dial
			}
			return 0, "", nil
		}, 2, 0, false},
		{"HTML 403", true, func(int) (int, string, error) { return 403, `<html>`, nil }, 1, bitrix.NotExecuted, true},
		{"moved", true, func(int) (int, string, error) { return 302, ``, nil }, 1, bitrix.NotExecuted, true},
		{"error in a 200", true, func(int) (int, string, error) { return 200, `{"error":"wrong_client"}`, nil }, 1, bitrix.Executed, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			p := &portal{methods: map[string]func(url.Values) (int, string){"x": ok("1")}}
			p.whole = func(string) (int, string, error) { n++; return tt.whole(n) }
			var log bytes.Buffer
			bubble(t, p, bitrix.Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, func(t *testing.T, c *bitrix.Client) {
				err := c.Do(t.Context(), bitrix.Call{Method: "x", Write: tt.write})[0].Err
				if (err != nil) != tt.fails || n != tt.tries {
					t.Errorf("%d tries, error %v; want %d", n, err, tt.tries)
				}
				var e *bitrix.Error
				if tt.fails && (!errors.As(err, &e) || e.Outcome != tt.outcome) {
					t.Errorf("error %#v, want outcome %d", err, tt.outcome)
				}
				if all := fmt.Sprintf("%v %+v %s", err, err, log.String()); strings.Contains(all, testSecret) {
					t.Errorf("the secret shows: %s", all)
				}
			})
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestSentIsUnknown breaks the connection of a real server after the request
// was read.
func TestSentIsUnknown(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer srv.Close()
	c, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(srv.URL + "/rest/1/" + testSecret + "/")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := c.Do(t.Context(), bitrix.Call{Method: "x", Write: true})[0].Err
	var e *bitrix.Error
	if !errors.As(got, &e) || e.Outcome != bitrix.Unknown || strings.Contains(got.Error(), testSecret) {
		t.Errorf("got %#v", got)
	}
	srv.Close()
	got = c.Do(t.Context(), bitrix.Call{Method: "x", Write: true})[0].Err
	if !errors.As(got, &e) || e.Outcome != bitrix.NotExecuted || !e.Temporary() || strings.Contains(got.Error(), testSecret) {
		t.Errorf("got %#v", got)
	}
}

func TestOperatingLimit(t *testing.T) {
	used, calls := 100.0, 0
	reset := int64(0)
	p := &portal{methods: map[string]func(url.Values) (int, string){
		"slow": func(url.Values) (int, string) {
			calls++
			if used > 480 {
				return 429, `{"error":"OPERATION_TIME_LIMIT","error_description":"Method is blocked due to operation time limit."}`
			}
			return 200, fmt.Sprintf(`{"result":1,"time":{"operating":%g,"operating_reset_at":%d}}`, used, reset)
		},
		"other": ok("1"),
	}}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		until := time.Now().Add(5 * time.Minute).Truncate(time.Second)
		reset = until.Unix()
		for _, u := range []float64{100, 470} {
			used = u
			if a := c.Do(t.Context(), bitrix.Call{Method: "slow"})[0]; a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		// Held back before the limit, without a request.
		a := c.Do(t.Context(), bitrix.Call{Method: "Slow"}, bitrix.Call{Method: "other"})
		var e *bitrix.Error
		if !errors.As(a[0].Err, &e) || !e.NotBefore.Equal(until) || e.Outcome != bitrix.NotExecuted || calls != 2 || a[1].Err != nil {
			t.Errorf("got %#v and %v after %d calls", a[0].Err, a[1].Err, calls)
		}
		time.Sleep(time.Until(until) + time.Second)
		used = 500
		err := c.Call(t.Context(), "slow", nil, nil)
		if !errors.As(err, &e) || e.Code != bitrix.CodeOperationLimit || e.NotBefore.Before(time.Now()) || calls != 3 {
			t.Errorf("got %#v after %d calls", err, calls)
		}
	})
}

func TestOverloadStops(t *testing.T) {
	p := &portal{methods: map[string]func(url.Values) (int, string){}}
	n := 0
	p.whole = func(string) (int, string, error) {
		n++
		return 503, `{"error":"OVERLOAD_LIMIT","error_description":"REST API is blocked due to overload."}`, nil
	}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		for range 3 {
			var e *bitrix.Error
			if err := c.Call(t.Context(), "x", nil, nil); !errors.As(err, &e) || e.NotBefore.Before(time.Now()) || !e.Temporary() {
				t.Errorf("got %#v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d requests to a portal that is blocked, want 1", n)
		}
	})
}

// TestCallerLeaves lets one caller give up without taking the others along.
func TestCallerLeaves(t *testing.T) {
	p := &portal{latency: time.Second, methods: map[string]func(url.Values) (int, string){"x": ok("1")}}
	bubble(t, p, bitrix.Config{InFlight: 1}, func(t *testing.T, c *bitrix.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.Do(t.Context(), bitrix.Call{Method: "x"}) })
		synctest.Wait()
		var left, stayed error
		wg.Go(func() { left = c.Do(ctx, bitrix.Call{Method: "x"})[0].Err })
		wg.Go(func() { stayed = c.Do(t.Context(), bitrix.Call{Method: "x"})[0].Err })
		time.Sleep(1500 * time.Millisecond)
		cancel()
		wg.Wait()
		if !errors.Is(left, context.Canceled) || stayed != nil {
			t.Errorf("left: %v, stayed: %v", left, stayed)
		}
	})
}

func TestList(t *testing.T) {
	const rows = 120
	p := &portal{}
	p.methods = map[string]func(url.Values) (int, string){"crm.item.list": func(v url.Values) (int, string) {
		start := 0
		_, _ = fmt.Sscan(v.Get("start"), &start)
		var items []int
		for i := start; i < min(start+50, rows); i++ {
			items = append(items, i)
		}
		next := ""
		if start+50 < rows {
			next = fmt.Sprintf(`,"next":%d`, start+50)
		}
		return 200, fmt.Sprintf(`{"result":{"items":%s},"total":%d%s}`, must(json.Marshal(items)), rows, next)
	}}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		got, err := c.List(t.Context(), bitrix.Call{Method: "crm.item.list", Params: map[string]any{"entityTypeId": 31}}, "items")
		if err != nil || len(got) != rows {
			t.Fatalf("%d rows, %v", len(got), err)
		}
		for i, raw := range got {
			if string(raw) != itoa(i) {
				t.Errorf("row %d is %s", i, raw)
			}
		}
		if len(p.requests) != 2 {
			t.Errorf("%d requests for three pages, want 2: %q", len(p.requests), p.requests)
		}
	})
}

func TestListFields(t *testing.T) {
	n := 0
	p := &portal{methods: map[string]func(url.Values) (int, string){"lists.field.get": func(url.Values) (int, string) {
		n++
		return 200, `{"result":{
			"NAME":{"FIELD_ID":"NAME","NAME":"Name","TYPE":"NAME","IS_REQUIRED":"Y","MULTIPLE":"N"},
			"PROPERTY_101":{"FIELD_ID":"PROPERTY_101","NAME":"Deal","CODE":"DEAL","TYPE":"N","MULTIPLE":"N","IS_REQUIRED":"N"},
			"PROPERTY_102":{"FIELD_ID":"PROPERTY_102","NAME":"State","CODE":"","TYPE":"L","MULTIPLE":"Y","DISPLAY_VALUES_FORM":{"7":"sent"}},
			"PROPERTY_103":{"FIELD_ID":"PROPERTY_103","NAME":"State","CODE":"STATE2","TYPE":"S","MULTIPLE":"N"}}}`
	}}}
	bubble(t, p, bitrix.Config{}, func(t *testing.T, c *bitrix.Client) {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				l, err := c.ListFields(t.Context(), "lists", 47)
				if err != nil {
					t.Error(err)
					return
				}
				for name, id := range map[string]string{"deal": "PROPERTY_101", "PROPERTY_102": "PROPERTY_102", "Name": "NAME", "state2": "PROPERTY_103"} {
					if f, err := l.Lookup(name); err != nil || f.ID != id {
						t.Errorf("%s is %s, %v; want %s", name, f.ID, err, id)
					}
				}
				if _, err := l.Lookup("State"); err == nil || !strings.Contains(err.Error(), "PROPERTY_102, PROPERTY_103") {
					t.Errorf("an ambiguous name: %v", err)
				}
				if f, _ := l.Lookup("PROPERTY_102"); !f.Multiple || f.Enum["7"] != "sent" || !f.IsProperty() {
					t.Errorf("got %+v", f)
				}
			})
		}
		wg.Wait()
		time.Sleep(4 * time.Minute)
		_, _ = c.ListFields(t.Context(), "lists", 47)
		if n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		time.Sleep(2 * time.Minute)
		_, _ = c.ListFields(t.Context(), "lists", 47)
		if n != 2 {
			t.Errorf("asked %d times after the description got old, want twice", n)
		}
	})
}
