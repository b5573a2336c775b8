package bitrix_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// leaky is a portal's bucket as the documentation describes it, with a
// neighbour who fills it too.
type leaky struct {
	capacity, drain, neighbour float64

	mu        sync.Mutex
	connected int
	level     float64
	at        time.Time
	refused   int
}

// admit takes a request in after 60 ms, the first of each sender, which has to
// connect, after 400.
func (l *leaky) admit(w http.ResponseWriter, _ string) (answered bool) {
	l.mu.Lock()
	latency := 60 * time.Millisecond
	if l.connected < 2 {
		l.connected++
		latency = 400 * time.Millisecond
	}
	l.mu.Unlock()
	time.Sleep(latency)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.at.IsZero() {
		l.level = min(l.capacity, max(0, l.level-now.Sub(l.at).Seconds()*(l.drain-l.neighbour)))
	}
	l.at = now
	if l.level+1 > l.capacity {
		l.refused++
		refuse(w)
		return true
	}
	l.level++
	return false
}

// oneByOne sends n calls that cannot share a request.
func oneByOne(t *testing.T, c *bitrix.Client, n int) {
	t.Helper()
	call := bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": 2, "id": 1, "all": true}}
	calls := make([]bitrix.Call, n)
	for i := range calls {
		calls[i] = call
	}
	for _, a := range c.Do(t.Context(), calls...) {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
	}
}

func TestNeverOverTheLimit(t *testing.T) {
	tests := []struct {
		plan     bitrix.Plan
		capacity float64
		drain    float64
		n        int
		most     time.Duration
	}{
		{bitrix.PlanStandard, 50, 2, 150, 52 * time.Second},
		{bitrix.PlanEnterprise, 250, 5, 400, 32 * time.Second},
		{bitrix.PlanUnlimited, 1e9, 1, 400, 13 * time.Second},
	}
	for _, tt := range tests {
		t.Run(string(tt.plan), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &leaky{capacity: tt.capacity, drain: tt.drain}
				c := newClient(t, &portal{methods: items(), before: l.admit}, func(cfg *bitrix.Config) { cfg.Plan = tt.plan })
				defer c.Close()
				start := time.Now()
				oneByOne(t, c, tt.n)
				if d := time.Since(start); l.refused > 0 || d > tt.most {
					t.Errorf("%d requests: %d refused, %s, want none and at most %s", tt.n, l.refused, d, tt.most)
				}
			})
		})
	}
}

// TestSharedBucket starts with a full bucket of which another program uses half:
// the client learns it from one refusal, or knows it, and repeats what was
// refused. Later it looks seldom enough whether there is more.
func TestSharedBucket(t *testing.T) {
	for _, tt := range []struct {
		name    string
		known   bool
		n, most int // requests, and how many of them may be refused
	}{
		{"not known", false, 100, 1},
		{"known", true, 100, 0},
		{"not known, for long", false, 400, 4},
		{"known, for long", true, 400, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &leaky{capacity: 50, drain: 2, neighbour: 1, level: 50, at: time.Now()}
				c := newClient(t, &portal{methods: items(), before: l.admit}, func(cfg *bitrix.Config) { cfg.Shared = tt.known })
				defer c.Close()
				start := time.Now()
				oneByOne(t, c, tt.n)
				d := time.Since(start)
				t.Logf("%d requests at 1/s: %s, %d refused", tt.n, d, l.refused)
				if l.refused > tt.most || d > time.Duration(tt.n)*1050*time.Millisecond {
					t.Errorf("%d refused in %s, want at most %d and some more than %d s", l.refused, d, tt.most, tt.n)
				}
				if s := c.Stats(); s.Refused != int64(l.refused) || s.Repeated != int64(l.refused) {
					t.Errorf("stats %+v, the portal refused %d", s, l.refused)
				}
			})
		})
	}
}

// TestTakeover: a client that takes over from another one leaves the portal's
// bucket the time to drain, and no more than that.
func TestTakeover(t *testing.T) {
	for _, tt := range []struct {
		away time.Duration // between the two
		most time.Duration // for 50 requests of the second
	}{
		{0, 28 * time.Second},
		{10 * time.Second, 18 * time.Second},
		{time.Minute, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &leaky{capacity: 50, drain: 2}
			p := &portal{methods: items(), before: l.admit}
			first := newClient(t, p)
			oneByOne(t, first, 52)
			first.Close()
			l.connected = 0
			ended := time.Now()
			time.Sleep(tt.away)
			second := newClient(t, p)
			defer second.Close()
			second.UsedUntil(ended)
			start := time.Now()
			oneByOne(t, second, 50)
			if d := time.Since(start); l.refused > 0 || d > tt.most {
				t.Errorf("taken over after %s: %d refused, %s, want none and at most %s", tt.away, l.refused, d, tt.most)
			}
		})
	}
}

// TestSpareSince: what a client leaves of the bucket, the next one has.
func TestSpareSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leaky{capacity: 50, drain: 2}
		p := &portal{methods: items(), before: l.admit}
		first := newClient(t, p)
		oneByOne(t, first, 20)
		first.Close()
		l.connected = 0
		second := newClient(t, p)
		defer second.Close()
		second.UsedUntil(time.Now().Add(-first.SpareSince()))
		start := time.Now()
		oneByOne(t, second, 29)
		if d := time.Since(start); l.refused > 0 || d > 5*time.Second {
			t.Errorf("29 requests after 20: %d refused, %s, want a burst", l.refused, d)
		}
		oneByOne(t, second, 10)
		if l.refused > 0 {
			t.Errorf("%d refused", l.refused)
		}
	})
}

// TestNeighboursGo: the whole rate and the burst are ours again some minutes
// after the others have gone, also when they were said to be there.
func TestNeighboursGo(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := &leaky{capacity: 50, drain: 2, neighbour: 1, level: 50, at: time.Now()}
			c := newClient(t, &portal{methods: items(), before: l.admit}, func(cfg *bitrix.Config) { cfg.Shared = known })
			defer c.Close()
			oneByOne(t, c, 30)
			l.neighbour = 0
			time.Sleep(10 * time.Minute)
			start := time.Now()
			oneByOne(t, c, 150)
			if d := time.Since(start); d > 55*time.Second {
				t.Errorf("150 requests took %s, want some 50 s", d)
			}
		})
	}
}

// TestRefusedWritesRunOnce: a refused batch is repeated whole, writes included.
func TestRefusedWritesRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := 3
		p := &portal{methods: items(), before: func(w http.ResponseWriter, _ string) bool {
			if refusals--; refusals >= 0 {
				refuse(w)
				return true
			}
			return false
		}}
		c := newClient(t, p)
		defer c.Close()
		for _, a := range c.Do(t.Context(), update(1), get(2)) {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		if len(p.asked()) != 4 {
			t.Errorf("requests %v", p.asked())
		}
	})
}

// TestEndlessRefusals: a portal that refuses for ever does not hold a caller
// for ever.
func TestEndlessRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &portal{before: func(w http.ResponseWriter, _ string) bool { refuse(w); return true }})
		defer c.Close()
		err := c.Do(t.Context(), get(1))[0].Err
		var e *bitrix.Error
		if !errors.As(err, &e) || e.Code != bitrix.CodeQueryLimit || !e.Temporary() || e.Outcome != bitrix.NotExecuted || !e.NotBefore.After(time.Now()) {
			t.Errorf("got %#v", e)
		}
	})
}

// TestOverload: nothing is sent to a portal that was blocked by hand, until a
// while later.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := true
		p := &portal{methods: items(), before: func(w http.ResponseWriter, _ string) bool {
			if blocked {
				writeJSON(w, http.StatusServiceUnavailable, object("error", "OVERLOAD_LIMIT", "error_description", "REST API is blocked due to overload"))
			}
			return blocked
		}}
		c := newClient(t, p)
		defer c.Close()
		for range 5 {
			err := c.Do(t.Context(), get(1))[0].Err
			var e *bitrix.Error
			if !errors.As(err, &e) || e.Code != bitrix.CodeOverload || e.Outcome != bitrix.NotExecuted || !e.Temporary() || e.NotBefore.IsZero() {
				t.Fatalf("got %#v", e)
			}
		}
		if n := len(p.asked()); n != 1 {
			t.Errorf("%d requests to a blocked portal, want 1", n)
		}
		blocked = false
		time.Sleep(11 * time.Minute)
		if a := c.Do(t.Context(), get(1))[0]; a.Err != nil {
			t.Error(a.Err)
		}
	})
}
