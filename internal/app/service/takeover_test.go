package service_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// TestTheRateIsKeptAcrossARestart: a process considers the requests of the process
// before it, and does not start with a full burst.
func TestTheRateIsKeptAcrossARestart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Plan: emulator.PlanStandard})
	deal := h.Fill(1)[0]
	h.Wait()
	used := h.Portal.Stats().Requests
	for h.Portal.Stats().Requests < used+40 { // most of the burst
		if err := h.Service.Portal(demo.PortalName).Client.Call(t.Context(), "server.time", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	h.Stop()
	h.Start()
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": strconv.Itoa(deal)})
	h.Wait()
	// What is left of the burst is known, so nothing waits for the steady rate.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a run after a restart took %s", took)
	}
	if s := h.Portal.Stats(); s.Refused > 0 || s.HighestLevel > s.Capacity {
		t.Errorf("%d requests were refused, the bucket rose to %.1f of %.0f", s.Refused, s.HighestLevel, s.Capacity)
	}
}
