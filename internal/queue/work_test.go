package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

func testStopLetsRunsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Grace: 10 * time.Second})
		stop := work(t, q, func(ctx context.Context, _ *queue.Run) error {
			time.Sleep(9 * time.Second)
			return ctx.Err()
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		push(t, q, "1", queue.Route{Rule: "s", Entity: "deal:1"})
		time.Sleep(time.Second)
		stop()
		if s := stats(t, q); s.Runs[journal.Succeeded] != 1 || s.Runs[journal.Succeeded]+s.Runs[journal.Waiting]+s.Runs[journal.Queued] != 2 {
			t.Errorf("runs are %v, want the one under way succeeded and the other kept", s.Runs)
		}
	})
}

func testStopCancelsRunsAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Grace: 5 * time.Second, Attempts: 1})
		stop := work(t, q, func(ctx context.Context, _ *queue.Run) error {
			<-ctx.Done()
			return ctx.Err()
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(time.Second)
		begun := time.Now()
		stop()
		if took := time.Since(begun).Round(100 * time.Millisecond); took != 5*time.Second {
			t.Errorf("the stop took %v, want the grace of 5s", took)
		}
		run := runs(t, q, journal.Filter{})[0]
		if run.State != journal.Waiting || run.Attempt != 0 {
			t.Fatalf("the run is %s after attempt %d, want it waiting and the attempt not counted", run.State, run.Attempt)
		}
		work(t, q, func(context.Context, *queue.Run) error { return nil })
		waitIdle(t, q)
	})
}

func testOneWorkAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{})
		stop := work(t, q, func(context.Context, *queue.Run) error { return nil })
		synctest.Wait()
		if err := q.Work(t.Context(), nil); err == nil {
			t.Error("a second Work was accepted")
		}
		if err := q.Close(); err == nil {
			t.Error("closed while Work is under way")
		}
		stop()
	})
}

func TestAClosedQueueSaysSo(t *testing.T) {
	q, err := queue.Open(t.Context(), "sqlite:"+t.TempDir()+"/queue.db", queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, nil); err == nil {
		t.Error("a closed queue took an event")
	}
}

func testAPortalUsesUpItsOwnWorkersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Workers: 2})
		var now, most atomic.Int32
		served := map[string]time.Duration{}
		var mu sync.Mutex
		begun := time.Now()
		work(t, q, func(_ context.Context, r *queue.Run) error {
			if r.Portal == "slow" {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				time.Sleep(time.Minute)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			served[r.Portal] = time.Since(begun).Round(time.Second)
			return nil
		})
		for i := range 6 {
			e := journal.Event{Portal: "slow", Code: "X"}
			if err := q.Push(t.Context(), e, []queue.Route{{Rule: "r", Entity: fmt.Sprint("deal:", i)}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		// A portal may have any name.
		names := []string{"quick", "Портал №1", "acme.bitrix24.com", "ACME", "acme"}
		for _, portal := range names {
			if err := q.Push(t.Context(), journal.Event{Portal: portal, Code: "X"}, []queue.Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
				t.Fatal(err)
			}
		}
		waitIdle(t, q)
		for _, portal := range names {
			if at, ok := served[portal]; !ok || at != 10*time.Second {
				t.Errorf("portal %q served at %v (%v), want at 10s", portal, at, ok)
			}
		}
		if most.Load() != 2 {
			t.Errorf("%d runs of a portal at once, want 2", most.Load())
		}
		if took := time.Since(begun); took < 3*time.Minute || took > 3*time.Minute+10*time.Second {
			t.Errorf("6 runs of a minute by 2 workers took %v, want 3m", took)
		}
	})
}

// Many events at the same time for few entities, with failures in between: never two
// runs of an entity at the same time, no event is lost, and the last event has a run
// after it.
func testOneRunPerEntityUnderLoad(t *testing.T) {
	const pushers, each, entities = 8, 60, 5
	rules := []string{"a", "b", "c"}
	q := openNew(t, queue.Options{RetryFirst: time.Millisecond, RetryMax: 2 * time.Millisecond, Attempts: 1000})
	var busy [entities]atomic.Int32
	var failures atomic.Int32
	work(t, q, func(_ context.Context, r *queue.Run) error {
		var n int
		if _, err := fmt.Sscanf(r.Entity, "deal:%d", &n); err != nil {
			return err
		}
		if !busy[n].CompareAndSwap(0, 1) {
			t.Errorf("two runs of %s at once", r.Entity)
		}
		defer busy[n].Store(0)
		if rand.N(10) == 0 {
			failures.Add(1)
			return errPortal
		}
		return nil
	})
	var wg sync.WaitGroup
	for range pushers {
		wg.Go(func() {
			for range each {
				var routes []queue.Route
				entity := fmt.Sprintf("deal:%d", rand.N(entities))
				for _, rule := range rules {
					routes = append(routes, queue.Route{Rule: rule, Entity: entity})
				}
				if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, routes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	waitIdle(t, q)

	count := 0
	for _, run := range runs(t, q, journal.Filter{Limit: 1e6}) {
		if run.State != journal.Succeeded {
			t.Errorf("run %d is %s", run.ID, run.State)
		}
		events, err := journal.EventsOf(t.Context(), q.Database(), run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != run.Count || events[len(events)-1].ID != run.Event.ID {
			t.Errorf("run %d counts %d events, the last %d, and has %d", run.ID, run.Count, run.Event.ID, len(events))
		}
		count += run.Count
	}
	if want := pushers * each * len(rules); count != want {
		t.Errorf("runs account for %d events, want %d", count, want)
	}
	if failures.Load() == 0 {
		t.Error("no run failed: the test shows less than it says")
	}
}
