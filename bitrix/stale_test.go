package bitrix_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// TestStaleCalls: what waited for longer than it is good for is not sent but
// fails shortly before its turn, and what is made in its place overtakes the
// others. One request a second is sent here.
func TestStaleCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &portal{methods: items()}, func(cfg *bitrix.Config) { cfg.Shared = true })
		defer c.Close()
		const callers, good = 500, 2 * time.Second
		var (
			wg          sync.WaitGroup
			mu          sync.Mutex
			stale, sent int
			longest     time.Duration
		)
		start := time.Now()
		for i := range callers {
			wg.Go(func() {
				call := update(i + 1)
				call.Deadline = start.Add(good)
				a := c.Do(t.Context(), call)[0]
				again := time.Time{}
				var e *bitrix.Error
				if errors.Is(a.Err, bitrix.ErrStale) {
					if !errors.As(a.Err, &e) || e.Outcome != bitrix.NotExecuted || !e.Temporary() || e.Method != call.Method {
						t.Errorf("error %#v", a.Err)
					}
					if d := time.Since(start); d <= good {
						t.Errorf("stale after %s", d)
					}
					again = time.Now()
					call.Deadline, call.Immediate = time.Time{}, true
					a = c.Do(t.Context(), call)[0]
				}
				if a.Err != nil {
					t.Error(a.Err)
				}
				mu.Lock()
				defer mu.Unlock()
				sent++
				if again.IsZero() {
					return
				}
				stale++
				longest = max(longest, time.Since(again))
			})
		}
		wg.Wait()
		s := c.Stats()
		t.Logf("%d requests in %s, %d calls were stale, each was sent at most %s later", s.Requests, time.Since(start), stale, longest)
		if sent != callers || s.Commands != callers || stale < callers-3*50 {
			t.Errorf("%d callers have answers, %d commands were sent, %d were stale", sent, s.Commands, stale)
		}
		if s.Requests > callers/50+1 {
			t.Errorf("%d requests, want %d full ones", s.Requests, callers/50)
		}
		if longest > 4*time.Second {
			t.Errorf("what was made anew waited for %s", longest)
		}
	})
}
