package catchup

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/queue"
)

// portalFunc answers one call.
type portalFunc func(c bitrix.Call) bitrix.Answer

func (f portalFunc) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i, c := range calls {
		out[i] = f(c)
	}
	return out
}

func (portalFunc) ListFields(context.Context, string, int) (*bitrix.ListFields, error) {
	return nil, nil
}

// feedTest feeds a job from a portal, in a testing/synctest bubble.
func feedTest(t *testing.T, j Job, p portalFunc, check func(t *testing.T, q *queue.Queue, job func() Job)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		q, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = q.Close() }()
		j.Started = time.Now()
		if err := Start(t.Context(), q, j); err != nil {
			t.Fatal(err)
		}
		f := &Feeder{
			Queue: q, Name: j.Portal, Portal: p, Log: log, May: func() bool { return true },
			PortalDown: func(context.Context, error) bool { return false },
			Routes: func(_ Job, typeID int, id string) []queue.Route {
				return []queue.Route{{Rule: "r", Entity: fmt.Sprintf("item:%d:%s", typeID, id)}}
			},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { defer close(ended); f.Run(ctx) }()
		check(t, q, func() Job {
			t.Helper()
			j, ok, err := Load(t.Context(), q, j.Portal, j.Rule)
			if err != nil || !ok {
				t.Fatalf("job: %v, %v", ok, err)
			}
			return j
		})
		stop()
		<-ended
	})
}

// A portal that refuses one type does not prevent the others, and the job has the
// error.
func TestAPartThatFailsIsLeftOut(t *testing.T) {
	for name, bad := range map[string]bitrix.Answer{
		"refused":   {Err: &bitrix.Error{Method: "crm.item.list", Code: "ACCESS_DENIED", Outcome: bitrix.Executed}},
		"senseless": {Result: json.RawMessage(`{"items":[{"id":0}]}`)},
	} {
		portal := func(c bitrix.Call) bitrix.Answer {
			if c.Params["entityTypeId"] == 2 {
				return bad
			}
			return oneItem(c)
		}
		feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2, 31}}, portal, func(t *testing.T, q *queue.Queue, job func() Job) {
			time.Sleep(time.Minute)
			if j := job(); j.Finished.IsZero() || j.Failed == "" || j.Runs != 1 {
				t.Errorf("%s: the job is %+v, want it finished, with a failure and the run of the other type", name, j)
			}
			if n, err := q.Pending(t.Context(), "acme", "r"); n != 1 || err != nil {
				t.Errorf("%s: %d runs, %v", name, n, err)
			}
		})
	}
}

// A portal that does not answer is asked again, and the job has the reason of the wait.
func TestAJobWaitsForItsPortal(t *testing.T) {
	var asked atomic.Int32
	portal := func(c bitrix.Call) bitrix.Answer {
		if asked.Add(1) <= 3 {
			return bitrix.Answer{Err: &bitrix.Error{Method: "crm.item.list", Code: bitrix.CodeNetwork}}
		}
		return oneItem(c)
	}
	feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2}}, portal, func(t *testing.T, _ *queue.Queue, job func() Job) {
		time.Sleep(retryAfter)
		if j := job(); j.Waits != "crm.item.list: NETWORK" || j.Over() || asked.Load() > 2 {
			t.Errorf("after %d calls the job is %+v, want it waiting", asked.Load(), j)
		}
		time.Sleep(3 * retryAfter)
		if j := job(); j.Waits != "" || !j.Over() || j.Failed != "" || j.Runs != 1 {
			t.Errorf("the job is %+v, want it over", j)
		}
	})
}

// A job that starts after the clock was set back is still the latest one.
func TestTheClockIsSetBack(t *testing.T) {
	never := func(bitrix.Call) bitrix.Answer {
		return bitrix.Answer{Err: &bitrix.Error{Code: bitrix.CodeNetwork}}
	}
	feedTest(t, Job{Portal: "acme", Rule: "r", Types: []int{2}}, never, func(t *testing.T, q *queue.Queue, job func() Job) {
		if err := Start(t.Context(), q, Job{Portal: "acme", Rule: "r", Types: []int{31}, Started: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if j := job(); j.Types[0] != 31 {
			t.Errorf("the job is %+v, want the one that was started last", j)
		}
	})
}

// oneItem answers as a portal whose only entity is 7.
func oneItem(c bitrix.Call) bitrix.Answer {
	if filter, _ := c.Params["filter"].(map[string]any); filter[">id"] == 7 {
		return bitrix.Answer{Result: json.RawMessage(`{"items":[]}`), Total: -1, Next: -1}
	}
	return bitrix.Answer{Result: json.RawMessage(`{"items":[{"id":7}]}`), Total: -1, Next: -1}
}
