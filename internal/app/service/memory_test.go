package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestMemoryStaysFlat pushes many events through the handler into a database on
// disk and executes their runs. The heap at the end is as large as near the start. B24_MEMORY_EVENTS is how many events there are.
func TestMemoryStaysFlat(t *testing.T) {
	events := testkit.EnvInt(t, "B24_MEMORY_EVENTS", testkit.Rounds(3_600, 1_200))
	c := &config.Config{
		Database: "sqlite:" + t.TempDir() + "/q.db",
		Portals:  []config.Portal{{Name: demo.PortalName, Webhook: bitrix.Secret("http://127.0.0.1:1/rest/1/s3cr3t/"), Token: modelToken, Plan: bitrix.PlanUnlimited}},
	}
	text := strings.Replace(testkit.Rule("note", "      - log: {message: 'deal {{ event.id }}'}\n"), "debounce: 0s", "debounce: 200ms", 1)
	loader := &fleet.Rules{Actions: actions.All, Source: fleet.FilesIn(fstest.MapFS{"note.yaml": {Data: []byte(text)}}), Portals: c.Portals}
	if _, gen, err := loader.Load(); err != nil || gen.Sets() != 1 {
		t.Fatalf("rules: %v, %+v", err, gen.Findings())
	}
	a, err := service.New(t.Context(), service.Options{Config: c, Rules: loader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var worked sync.WaitGroup
	worked.Go(func() {
		if err := a.RunQueue(ctx); err != nil {
			t.Errorf("work: %v", err)
		}
	})
	defer worked.Wait()
	defer stop()

	hooks := a.Handler()
	const parts = 12
	var heaps []uint64
	started := time.Now()
	for part := range parts {
		postMany(t, hooks, part*events/parts, events/parts)
		if err := a.Queue().WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		heaps = append(heaps, heap())
	}
	stats, err := journal.Count(t.Context(), a.Queue().Database())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events in %s, %.0f a second; heap in KiB: %v; %d events and %v runs are kept",
		events, time.Since(started).Round(time.Millisecond), float64(events)/time.Since(started).Seconds(), heaps, stats.Events, stats.Runs)
	// The first part warms up caches and prepares statements.
	first, last := slices.Max(heaps[1:4]), slices.Max(heaps[parts-3:])
	if last > first+first/4+2048 {
		t.Errorf("the heap grew from %d to %d KiB over %d events", first, last, events)
	}
	if n := stats.Runs[journal.Parked]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
}

// postMany posts events of 500 deals from 64 connections without a pause.
func postMany(t *testing.T, hooks http.Handler, from, n int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				body := fmt.Sprintf("event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=%s", (int64(from)+i)%500+1, modelToken)
				r := httptest.NewRequest(http.MethodPost, "/hooks/"+demo.PortalName, strings.NewReader(body))
				r.Header.Set("Content-Type", formType)
				w := httptest.NewRecorder()
				if hooks.ServeHTTP(w, r); w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			}
		})
	}
	wg.Wait()
}

// heap is what is in use after a collection, in KiB.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse >> 10
}
