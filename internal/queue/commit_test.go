package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
)

func openTest(t testing.TB) *Queue {
	t.Helper()
	q, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func TestPushesThatWaitShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		before := q.writes.commits.Load()
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = q.writes.do(t.Context(), func(context.Context, *tx) error { close(held); <-hold; return nil })
		})
		<-held
		const pushes = 100
		var stored atomic.Int32
		for i := range pushes {
			wg.Go(func() {
				if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: fmt.Sprint("deal:", i)}}); err != nil {
					t.Error(err)
				}
				stored.Add(1)
			})
		}
		synctest.Wait() // all of them wait for the running transaction
		if n := stored.Load(); n > 0 {
			t.Errorf("%d pushes returned before a commit", n)
		}
		close(hold)
		wg.Wait()
		if n := q.writes.commits.Load() - before; n != 2 {
			t.Errorf("%d transactions for 1 and %d waiting writes, want 2", n, pushes)
		}
	})
}

func TestAFailedWriteSparesItsNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		errOwn := errors.New("own")
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = q.writes.do(t.Context(), func(context.Context, *tx) error { close(held); <-hold; return nil })
		})
		<-held
		gaveUp, cancel := context.WithCancel(t.Context())
		for i := range 9 {
			wg.Go(func() {
				ctx, want := t.Context(), error(nil)
				switch i % 3 {
				case 1:
					want = errOwn
				case 2:
					ctx, want = gaveUp, context.Canceled
				}
				err := q.writes.do(ctx, func(ctx context.Context, t *tx) error {
					t.afterCommit(func() { q.changes.send() })
					if _, err := t.Exec(ctx, insertEvent, "acme", fmt.Sprint("X", i%3), "null", 0, 0, 0, "", ""); err != nil {
						return err
					}
					return want
				})
				if !errors.Is(err, want) {
					t.Errorf("write %d: %v, want %v", i, err, want)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(hold)
		wg.Wait()
		var codes string
		if err := q.db.Read.QueryRow(t.Context(), `SELECT group_concat(code) FROM b24_event`).Scan(&codes); err != nil {
			t.Fatal(err)
		}
		if codes != "X0,X0,X0" {
			t.Errorf("stored %s, want the three good ones alone", codes)
		}
	})
}

// A portal waits for the answer to its event. No program waits for the ends of the 50 runs that shared
// a request: an event does not wait for all of them, whether it comes before them or while they
// are stored.
func TestUrgentWritesDoNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		const others, each = 50, time.Millisecond
		for _, during := range []bool{false, true} {
			hold, held := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = q.writes.do(t.Context(), func(context.Context, *tx) error { close(held); <-hold; return nil })
			})
			<-held
			var stored atomic.Int32
			for i := range others {
				wg.Go(func() {
					err := q.writes.doFor(t.Context(), fmt.Sprint("acme\x00deal:", i), func(context.Context, *tx) error { time.Sleep(each); return nil })
					if err != nil {
						t.Error(err)
					}
					stored.Add(1)
				})
			}
			synctest.Wait()
			if during {
				close(hold)
				time.Sleep(2 * each)
			}
			start := time.Now()
			wg.Go(func() {
				if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: "deal:999"}}); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > 2*maxPause {
					t.Errorf("during %v: the event waited %v, with %d of %d others stored", during, took, stored.Load(), others)
				}
			})
			synctest.Wait()
			if !during {
				close(hold)
			}
			wg.Wait()
			if n := stored.Load(); n != others {
				t.Errorf("during %v: %d of %d others stored", during, n, others)
			}
		}
	})
}

// Others are not put off for ever while events arrive all the time.
func TestUrgentWritesPutOthersOffForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_ = q.writes.doUrgent(ctx, fmt.Sprint("acme\x00deal:", i), func(context.Context, *tx) error { time.Sleep(maxPause); return nil })
				}
			})
		}
		time.Sleep(10 * maxPause)
		start := time.Now()
		if err := q.writes.doFor(t.Context(), "acme\x00deal:9", func(context.Context, *tx) error { return nil }); err != nil {
			t.Error(err)
		}
		// It waits for less when no urgent one happens to wait at its turn.
		if took := time.Since(start); took > maxPutOff+10*maxPause {
			t.Errorf("the write waited %v, want at most about %v", took, maxPutOff)
		}
		stop()
		wg.Wait()
	})
}

func TestSuccessClearsDoneMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = q.Work(ctx, func(ctx context.Context, r *Run) error { return r.MarkDone(ctx, "post") })
		})
		if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
			t.Fatal(err)
		}
		if err := q.WaitIdle(ctx); err != nil {
			t.Fatal(err)
		}
		var marks int
		if err := q.db.Read.QueryRow(t.Context(), `SELECT COUNT(*) FROM b24_done`).Scan(&marks); err != nil || marks != 0 {
			t.Errorf("%d marks left (%v), want none", marks, err)
		}
		stop()
		wg.Wait()
	})
}

// On a full disk events are refused, stored ones stay, and no run loses its result.
func TestAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openTest(t)
		limit := func(pages int) {
			err := q.writes.do(t.Context(), func(ctx context.Context, t *tx) error {
				_, err := t.Exec(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		begun, goOn, ran := make(chan struct{}), make(chan struct{}), 0
		wg.Go(func() {
			_ = q.Work(ctx, func(_ context.Context, r *Run) error {
				ran++
				close(begun)
				<-goOn
				r.Record(json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`))
				return nil
			})
		})
		if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
			t.Fatal(err)
		}
		<-begun
		limit(1) // SQLite makes it the present size
		big := json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)
		var failed atomic.Int32
		for range 10 { // several in one transaction
			wg.Go(func() {
				if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X", Data: big}, nil); err != nil {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		if failed.Load() != 10 {
			t.Errorf("%d of 10 pushes to a full disk failed", failed.Load())
		}
		close(goOn)
		time.Sleep(time.Minute) // the run is over and its result does not fit
		if s, err := journal.Count(ctx, q.Database()); err != nil || s.Events != 1 || s.Runs[journal.Running] != 1 {
			t.Errorf("stats are %+v, %v, want 1 event and its run still to be ended", s, err)
		}
		limit(1 << 20)
		if err := q.WaitIdle(ctx); err != nil {
			t.Fatal(err)
		}
		if s, err := journal.Count(ctx, q.Database()); err != nil || s.Runs[journal.Succeeded] != 1 || ran != 1 {
			t.Errorf("stats are %+v, %v after %d executions, want one that succeeded", s, err, ran)
		}
		stop()
		wg.Wait()
	})
}

// BenchmarkPush compares Push, whose callers share transactions, with the
// handler that it replaces: each event is inserted with its own commit.
func BenchmarkPush(b *testing.B) {
	const callers = 64 // per processor: a burst of requests
	b.Run("grouped", func(b *testing.B) {
		q := openTest(b)
		before := q.writes.commits.Load()
		var n atomic.Int64
		b.SetParallelism(callers)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				entity := fmt.Sprint("deal:", n.Add(1)%500)
				if err := q.Push(b.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE"}, []Route{{Rule: "r", Entity: entity, Debounce: 1e12}}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(b.N)/float64(q.writes.commits.Load()-before), "events/commit")
	})
	b.Run("one-insert-per-commit", func(b *testing.B) {
		q := openTest(b)
		db, err := sql.Open("sqlite", "file:"+q.db.String()+"?_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		db.SetMaxOpenConns(1)
		insert, err := db.Prepare(insertEvent)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = insert.Close() }()
		b.SetParallelism(callers)
		b.RunParallel(func(pb *testing.PB) { commitEach(b, pb, insert) })
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

func commitEach(b *testing.B, pb *testing.PB, insert *sql.Stmt) {
	for pb.Next() {
		var id int64
		if err := insert.QueryRowContext(b.Context(), "acme", "ONCRMDEALUPDATE", "null", 0, 0, 0, "", "").Scan(&id); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWork pushes events from many goroutines, each for another entity, and
// waits until all their runs have succeeded.
func BenchmarkWork(b *testing.B) {
	q := openTest(b)
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = q.Work(ctx, func(context.Context, *Run) error { return nil }) })
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: fmt.Sprint("deal:", n.Add(1))}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := q.WaitIdle(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	stop()
	wg.Wait()
}
