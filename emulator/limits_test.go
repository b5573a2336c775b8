package emulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"b24rules/emulator"
)

// ask calls a method without a network, as a client at an address.
func ask(p *emulator.Portal, source, method, query string) (status int, body string) {
	req := httptest.NewRequest(http.MethodGet, p.WebhookPath()+method+"?"+query, nil)
	req.RemoteAddr = source + ":4321"
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func TestBucket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan                string
		capacity, perMinute int
	}{
		{emulator.PlanStandard, 50, 120},
		{emulator.PlanEnterprise, 250, 300},
		{"", 50, 120},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := emulator.New(emulator.Config{Plan: c.plan})
			defer p.Close()
			flood := func(n int) (done int) {
				for range n {
					status, body := ask(p, "192.0.2.1", "server.time", "")
					switch {
					case status == 200:
						done++
					case status != 503 || !strings.Contains(body, `"error":"QUERY_LIMIT_EXCEEDED"`) || strings.Contains(body, "time\":"):
						t.Fatalf("status %d, %s", status, body)
					}
				}
				return done
			}
			if got := flood(1000); got != c.capacity {
				t.Errorf("plan %q: %d of 1000 at once, want %d", c.plan, got, c.capacity)
			}
			if status, _ := ask(p, "192.0.2.2", "server.time", ""); status != 200 {
				t.Errorf("plan %q: another address is refused too", c.plan)
			}
			time.Sleep(10 * time.Second)
			if got, want := flood(1000), c.perMinute/6; got != want {
				t.Errorf("plan %q: %d after 10 s, want %d", c.plan, got, want)
			}
			time.Sleep(time.Hour)
			if got := flood(1000); got != c.capacity {
				t.Errorf("plan %q: %d after an hour, want %d: refused requests must not fill the bucket", c.plan, got, c.capacity)
			}
			if s := p.Stats(); s.Requests != 3001 || s.Refused != 3001-int64(2*c.capacity+c.perMinute/6+1) || s.HighestLevel != float64(c.capacity) {
				t.Errorf("plan %q: %+v", c.plan, s)
			}
		})
	}
}

func TestUnlimited(t *testing.T) {
	t.Parallel()
	p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	defer p.Close()
	for range 2000 {
		if status, body := ask(p, "192.0.2.1", "server.time", ""); status != 200 {
			t.Fatal(status, body)
		}
	}
}

// TestOperating: the call that crosses the limit still runs, the next is
// refused until the oldest minute is ten minutes old; other methods go on.
func TestOperating(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cost := func(method string) time.Duration {
			if method == "crm.deal.add" {
				return 5 * time.Second
			}
			return 50 * time.Millisecond // too little to count
		}
		p := emulator.New(emulator.Config{Plan: emulator.PlanEnterprise, Operating: emulator.Operating{Limit: 12 * time.Second, Cost: cost}})
		defer p.Close()
		add := func() (int, string) { return ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x") }
		begin := time.Now()
		for i, want := range []string{`"operating":5}`, `"operating":10}`, `"operating":15}`} {
			status, body := add()
			if status != 200 || !strings.Contains(body, want) {
				t.Fatalf("call %d: status %d, %s, want %s", i+1, status, body, want)
			}
			if reset := `"operating_reset_at":` + unix(begin.Add(10*time.Minute)); !strings.Contains(body, reset) {
				t.Errorf("call %d: %s, want %s", i+1, body, reset)
			}
			time.Sleep(2 * time.Minute)
		}
		if status, body := add(); status != 429 || !strings.Contains(body, `"error":"OPERATION_TIME_LIMIT"`) {
			t.Errorf("over the limit: status %d, %s", status, body)
		}
		if status, body := ask(p, "192.0.2.1", "crm.deal.list", ""); status != 200 || !strings.Contains(body, `"operating":0}`) {
			t.Errorf("another method: status %d, %s", status, body)
		}
		_, body := ask(p, "192.0.2.1", "batch", "cmd[a]=crm.deal.add%3Ffields[TITLE]%3Dx&cmd[b]=profile")
		if !strings.Contains(body, `"result_error":{"a":{"error":"OPERATION_TIME_LIMIT"`) || !strings.Contains(body, `"result":{"b":{"ID"`) {
			t.Errorf("in a batch: %s", body)
		}
		time.Sleep(4*time.Minute + time.Second)
		if status, body := add(); status != 200 || !strings.Contains(body, `"operating":15}`) {
			t.Errorf("after the reset: status %d, %s: the sum falls by the oldest minute only", status, body)
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := emulator.New(emulator.Config{Latency: emulator.Latency{Request: 60 * time.Millisecond, Command: 15 * time.Millisecond}})
		defer p.Close()
		for _, c := range []struct {
			method, query string
			want          time.Duration
		}{
			{"profile", "", 75 * time.Millisecond},
			{"batch", "cmd[]=profile&cmd[]=scope&cmd[]=profile", 105 * time.Millisecond},
			{"none", "", 60 * time.Millisecond},
		} {
			begin := time.Now()
			ask(p, "192.0.2.1", c.method, c.query)
			if got := time.Since(begin); got != c.want {
				t.Errorf("%s takes %s, want %s", c.method, got, c.want)
			}
		}
	})
}
