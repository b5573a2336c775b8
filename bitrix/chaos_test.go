package bitrix_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// chaos is a portal that refuses, loses answers before and after the work, cuts
// JSON off and answers HTML.
type chaos struct {
	p *portal

	mu  sync.Mutex
	rnd *rand.Rand
	ran map[string]int // writes by id
}

func (c *chaos) write(a *php.Array) reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprint(first(a, "id"))
	c.ran[id]++
	if c.rnd.IntN(20) == 0 {
		return reply{code: "", text: "Access denied"}
	}
	return reply{result: id}
}

func (c *chaos) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

func (c *chaos) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(time.Duration(c.roll(200)) * time.Millisecond)
	switch c.roll(12) {
	case 0:
		return answerText(503, `{"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`), nil
	case 1:
		return nil, io.ErrUnexpectedEOF
	case 2:
		return answerText(502, "<html>"), nil
	}
	resp, err := memory{c.p}.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch c.roll(12) {
	case 0:
		return nil, errors.New("connection reset by peer")
	case 1:
		body, _ := io.ReadAll(resp.Body)
		return answerText(200, string(body[:len(body)/2])), nil
	}
	return resp, nil
}

// TestChaos lets many callers read and write through a portal of many faults.
// Whatever happens, each gets the answer to its own call, and an error tells
// the truth of what ran.
func TestChaos(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			ch := &chaos{rnd: rand.New(rand.NewPCG(seed, 1)), ran: map[string]int{}}
			ch.p = &portal{methods: map[string]methodFunc{
				"write": ch.write,
				"read":  func(a *php.Array) reply { return reply{result: fmt.Sprint(first(a, "id"))} },
			}}
			c := newClient(t, nil, func(cfg *bitrix.Config) { cfg.HTTP.Transport = ch; cfg.Plan = bitrix.PlanEnterprise })
			defer c.Close()
			var all sync.WaitGroup
			for caller := range 60 {
				all.Go(func() { ch.caller(t, c, caller) })
			}
			all.Wait()
			if s := c.Stats(); s.Waiting != 0 {
				t.Errorf("%d calls wait though nobody is there", s.Waiting)
			}
		})
	}
}

func (c *chaos) caller(t *testing.T, client *bitrix.Client, n int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+c.roll(60_000))*time.Millisecond)
	defer cancel()
	calls := make([]bitrix.Call, 1+c.roll(70))
	for i := range calls {
		id := fmt.Sprintf("%d-%d", n, i)
		calls[i] = bitrix.Call{Method: "read", Params: map[string]any{"id": id}}
		if c.roll(3) == 0 {
			calls[i] = bitrix.Call{Method: "write", Write: true, Params: map[string]any{"id": id}}
		}
		if c.roll(40) == 0 {
			calls[i].Params["alone"] = true
		}
	}
	answers := client.Do(ctx, calls...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, a := range answers {
		id := fmt.Sprintf("%d-%d", n, i)
		ran := c.ran[id]
		var e *bitrix.Error
		switch {
		case a.Err == nil:
			if string(a.Result) != `"`+id+`"` || calls[i].Write && ran != 1 {
				t.Errorf("call %s got %s and ran %d times", id, a.Result, ran)
			}
		case !errors.As(a.Err, &e):
			t.Errorf("call %s: %T", id, a.Err)
		case ran > 1, calls[i].Write && e.Outcome == bitrix.NotExecuted && ran > 0, calls[i].Write && e.Outcome == bitrix.Executed && ran != 1:
			t.Errorf("call %s ran %d times, its outcome is %s: %v", id, ran, e.Outcome, e)
		}
	}
}

// TestRefusedInsideABatch: the limit may turn single commands away.
func TestRefusedInsideABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := &portal{methods: map[string]methodFunc{"write": func(a *php.Array) reply {
			if n++; n == 2 {
				return reply{code: "QUERY_LIMIT_EXCEEDED", text: "Too many requests"}
			}
			return reply{result: first(a, "id")}
		}}}
		c := newClient(t, p)
		defer c.Close()
		call := func(id string) bitrix.Call {
			return bitrix.Call{Method: "write", Write: true, Params: map[string]any{"id": id}}
		}
		if got := strings.Join(results(c.Do(t.Context(), call("a"), call("b"), call("c"))), " "); got != `"a" "b" "c"` {
			t.Errorf("got %s", got)
		}
		if got := strings.Join(p.asked(), " "); got != "batch(write write write) write" {
			t.Errorf("requests %s", got)
		}
	})
}

// TestCloseWhileBusy: what waits did not run, and the outcome of what is in
// progress is unknown.
func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &portal{methods: items(), before: func(http.ResponseWriter, string) bool { time.Sleep(time.Second); return false }},
			func(cfg *bitrix.Config) { cfg.InFlight = 1 })
		var all sync.WaitGroup
		for i, want := range []bitrix.Outcome{bitrix.Unknown, bitrix.NotExecuted} {
			all.Go(func() {
				err := c.Do(t.Context(), update(i))[0].Err
				if got := judge(t, err); got.Outcome != want || !errors.Is(err, bitrix.ErrClosed) {
					t.Errorf("call %d: %s, %v", i, got.Outcome, err)
				}
			})
			synctest.Wait()
		}
		c.Close()
		all.Wait()
	})
}
