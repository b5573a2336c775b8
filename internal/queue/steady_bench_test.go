//go:build unix

package queue_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// cpuTime is the time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSteady pushes single events at a rate for five seconds, while their runs
// execute. It reports the share of a processor and the time until the answer.
func BenchmarkSteady(b *testing.B) {
	for _, rate := range []int{50, 200} {
		b.Run(fmt.Sprint(rate, "-events-per-second"), func(b *testing.B) {
			q := openNew(b, queue.Options{})
			stop := work(b, q, func(context.Context, *queue.Run) error { return nil })
			var mu sync.Mutex
			var took []time.Duration
			before, begun := cpuTime(b), time.Now()
			for b.Loop() {
				var wg sync.WaitGroup
				for i := range 5 * rate {
					time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
					wg.Go(func() {
						sent := time.Now()
						push(b, q, "0", queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i)}, queue.Route{Rule: "s", Entity: fmt.Sprint("deal:", i)})
						mu.Lock()
						defer mu.Unlock()
						took = append(took, time.Since(sent))
					})
				}
				wg.Wait()
			}
			waitIdle(b, q)
			b.ReportMetric(100*float64(cpuTime(b)-before)/float64(time.Since(begun)), "%core")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
			stop()
		})
	}
}

// BenchmarkIdle measures a process that has 500 portals and nothing to do.
func BenchmarkIdle(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			dsn := newDSN(b)
			if kind == "postgres" {
				dsn = newPostgres(b)
			}
			var portals []string
			for i := range 500 {
				portals = append(portals, fmt.Sprint("portal-", i))
			}
			q := openDSN(b, dsn, queue.Options{Portals: portals})
			stop := work(b, q, func(context.Context, *queue.Run) error { return nil })
			for _, portal := range portals {
				if err := q.Push(b.Context(), journal.Event{Portal: portal, Code: "X"}, []queue.Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
					b.Fatal(err)
				}
			}
			waitIdle(b, q)
			for b.Loop() {
				before, begun := cpuTime(b), time.Now()
				time.Sleep(10 * time.Second)
				b.ReportMetric(100*float64(cpuTime(b)-before)/float64(time.Since(begun)), "%core")
			}
			stop()
		})
	}
}
