package bitrix_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// worker is a method that uses up working time and is refused over the limit:
// the call that crosses it still runs.
type worker struct {
	used, cost, limit float64
	calls, refused    int
	from              time.Time
}

func (w *worker) call(*php.Array) reply {
	if w.from.IsZero() {
		w.from = time.Now()
	}
	if time.Since(w.from) > 10*time.Minute {
		w.from, w.used = time.Now(), 0
	}
	if w.used >= w.limit {
		w.refused++
		return reply{code: "OPERATION_TIME_LIMIT", text: "Method is blocked due to operation time limit.", status: http.StatusTooManyRequests}
	}
	w.calls++
	w.used += w.cost
	return reply{result: true, operating: w.used}
}

// TestOperatingLimit: a method is paced before its limit, other methods continue,
// and the error of a long wait says until when.
func TestOperatingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{cost: 4, limit: 480}
		p := &portal{methods: map[string]methodFunc{"slow": w.call, "fast": echo}}
		c := newClient(t, p, func(cfg *bitrix.Config) { cfg.Plan = bitrix.PlanUnlimited })
		defer c.Close()
		var held *bitrix.Error
		for held == nil {
			if err := c.Do(t.Context(), bitrix.Call{Method: "slow"})[0].Err; err != nil && !errors.As(err, &held) {
				t.Fatal(err)
			}
		}
		if held.Code != bitrix.CodeOperationLimit || held.Outcome != bitrix.NotExecuted || !held.Temporary() {
			t.Errorf("got %#v", held)
		}
		if w.refused > 0 || w.used < 380 {
			t.Errorf("%d refusals with %.0f s used: want none, and most of the limit used", w.refused, w.used)
		}
		if wait := time.Until(held.NotBefore); wait <= 0 || wait > 10*time.Minute {
			t.Errorf("to come back in %s", wait)
		}
		if err := c.Do(t.Context(), bitrix.Call{Method: "fast"})[0].Err; err != nil {
			t.Errorf("another method: %v", err)
		}
		time.Sleep(time.Until(held.NotBefore) + time.Second)
		if err := c.Do(t.Context(), bitrix.Call{Method: "SLOW"})[0].Err; err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
}

// TestOperatingPace: a method near its limit that costs little continues, slower.
func TestOperatingPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{used: 390, cost: 0.5, limit: 480}
		c := newClient(t, &portal{methods: map[string]methodFunc{"slow": w.call}})
		defer c.Close()
		start := time.Now()
		for range 100 {
			if err := c.Do(t.Context(), bitrix.Call{Method: "slow"})[0].Err; err != nil {
				t.Fatal(err)
			}
		}
		// 90 s of working time are left for 600 s, which is a call in 3.3 s at
		// first; and the portal says each time that it is 600 s still.
		if d := time.Since(start); d < 7*time.Minute || d > 9*time.Minute {
			t.Errorf("100 calls took %s", d)
		}
	})
}

// TestOperatingCrossed: the call that crosses the limit runs, and the next is not
// sent.
func TestOperatingCrossed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{used: 479, cost: 10, limit: 480}
		c := newClient(t, &portal{methods: map[string]methodFunc{"slow": w.call}})
		defer c.Close()
		if err := c.Do(t.Context(), bitrix.Call{Method: "slow"})[0].Err; err != nil {
			t.Fatal(err)
		}
		var e *bitrix.Error
		if err := c.Do(t.Context(), bitrix.Call{Method: "slow"})[0].Err; !errors.As(err, &e) || !e.NotBefore.Equal(time.Now().Add(10*time.Minute)) {
			t.Errorf("got %#v, want to come back at the reset", e)
		}
		if w.calls != 1 || w.refused != 0 {
			t.Errorf("%d calls ran, %d were refused", w.calls, w.refused)
		}
	})
}

// TestOperatingRefusal: other programs use the method too, so the refusal comes
// unforeseen, here inside a batch that has status 200.
func TestOperatingRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := reply{code: "OPERATION_TIME_LIMIT", text: "Method is blocked due to operation time limit."}
		calls := 0
		p := &portal{methods: map[string]methodFunc{
			"slow": func(*php.Array) reply {
				if calls++; calls == 1 {
					return reply{result: true, operating: 30}
				}
				return over
			},
			"fast": echo,
		}}
		c := newClient(t, p)
		defer c.Close()
		slow, fast := bitrix.Call{Method: "slow"}, bitrix.Call{Method: "fast"}
		reset := time.Now().Add(600 * time.Second) // what the first answer tells
		a := c.Do(t.Context(), slow, slow, fast)
		var e *bitrix.Error
		if a[0].Err != nil || a[2].Err != nil || !errors.As(a[1].Err, &e) || !e.NotBefore.Equal(reset) || e.Outcome != bitrix.NotExecuted {
			t.Errorf("answers %v, not before %v, want %v", results(a), e.NotBefore, reset)
		}
		if err := c.Do(t.Context(), slow)[0].Err; !bitrix.IsCode(err, bitrix.CodeOperationLimit) {
			t.Errorf("got %v", err)
		}
		if n := len(p.asked()); n != 1 {
			t.Errorf("%d requests: a refused method was asked again", n)
		}
		time.Sleep(time.Until(reset) + time.Second)
		calls = 0
		if err := c.Do(t.Context(), slow)[0].Err; err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
}

// TestBatchOverItsTime: a core that counts the batch itself is asked one by one.
func TestBatchOverItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items(), before: func(w http.ResponseWriter, method string) bool {
			if method == "batch" {
				writeJSON(w, http.StatusTooManyRequests, object("error", "OPERATION_TIME_LIMIT", "error_description", "Method is blocked"))
			}
			return method == "batch"
		}}
		c := newClient(t, p)
		defer c.Close()
		for _, a := range c.Do(t.Context(), get(1), get(2), get(3)) {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		if n := len(p.asked()); n != 4 {
			t.Errorf("requests %v", p.asked())
		}
	})
}
