package emulator_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/emulator"
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
// refused until the oldest minute is ten minutes old; other methods still run.
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

// TestOthers shares the bucket with applications on the same machine.
func TestOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		others       emulator.Others
		first, after int // requests that pass at once, and ten seconds later
	}{
		{emulator.Others{}, 50, 20},
		{emulator.Others{Level: 30}, 20, 20},
		{emulator.Others{Rate: 1.5}, 50, 5},
		{emulator.Others{Level: 45, Rate: 2}, 5, 0},
		{emulator.Others{Level: 1000, Rate: 100}, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := emulator.New(emulator.Config{Others: c.others})
			defer p.Close()
			flood := func() (done int) {
				for range 100 {
					if status, _ := ask(p, "192.0.2.1", "server.time", ""); status == 200 {
						done++
					}
				}
				return done
			}
			if got := flood(); got != c.first {
				t.Errorf("%+v: %d at once, want %d", c.others, got, c.first)
			}
			time.Sleep(10*time.Second + time.Millisecond)
			if got := flood(); got != c.after {
				t.Errorf("%+v: %d after ten seconds, want %d", c.others, got, c.after)
			}
			if s := p.Stats(); s.Level < 49 || s.Level > 50 || s.Capacity != 50 {
				t.Errorf("%+v: level %g of %g", c.others, s.Level, s.Capacity)
			}
		})
	}
}

// TestRequestLimit cuts a request off after a minute: what has run is done.
func TestRequestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := emulator.New(emulator.Config{Latency: emulator.Latency{Command: 25 * time.Second}})
		defer p.Close()
		begin := time.Now()
		status, body := ask(p, "192.0.2.1", "batch", strings.Repeat("cmd[]=crm.deal.add%3Ffields[TITLE]%3Dx&", 4))
		if took := time.Since(begin); status != 504 || !strings.HasPrefix(body, "<html>") || took != time.Minute {
			t.Errorf("status %d after %s, %s", status, took, body)
		}
		if got := p.Stats().Commands["crm.deal.add"]; got != 2 {
			t.Errorf("%d commands ran, want 2", got)
		}
		if status, _ := ask(p, "192.0.2.1", "crm.deal.get", "id=2"); status != 200 {
			t.Error("the second deal is not there")
		}
	})
}

// TestJitter varies the latency by chance, the same way each time.
func TestJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		times := func(seed uint64) (took []time.Duration) {
			p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Seed: seed, Latency: emulator.Latency{Request: 100 * time.Millisecond, Jitter: 0.2}})
			defer p.Close()
			for range 100 {
				begin := time.Now()
				ask(p, "192.0.2.1", "profile", "")
				took = append(took, time.Since(begin))
			}
			return took
		}
		first := times(1)
		if slices.Min(first) < 80*time.Millisecond || slices.Max(first) > 120*time.Millisecond || slices.Max(first)-slices.Min(first) < 20*time.Millisecond {
			t.Errorf("from %s to %s, want 80 to 120 ms", slices.Min(first), slices.Max(first))
		}
		if !slices.Equal(first, times(1)) || slices.Equal(first, times(2)) {
			t.Error("not the same with one seed, or the same with another")
		}
	})
}

// TestOverload refuses everything, as long as it is set.
func TestOverload(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "OVERLOAD_LIMIT"}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"profile", "batch"} {
		p.refused(method, `{"cmd":["profile"]}`, 503, `{"error":"OVERLOAD_LIMIT","error_description":"REST API is blocked due to overload."}`)
	}
	if err := p.SetFaults(); err != nil {
		t.Fatal(err)
	}
	p.must("profile", `{}`)
}
