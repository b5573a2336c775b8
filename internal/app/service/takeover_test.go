package service_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestTheRateIsKeptAcrossARestart: a process considers the requests of the process
// before it, and does not start with a full burst.
func TestTheRateIsKeptAcrossARestart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Plan: emulator.PlanStandard})
	deal := h.Fill(1)[0]
	h.Wait()
	for h.Portal.Stats().HighestLevel < 49 { // as if the engine had done it
		resp, err := http.Post(h.Webhook().Reveal()+"server.time", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	h.Stop()
	h.Start()
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": strconv.Itoa(deal)})
	h.Wait()
	if s := h.Portal.Stats(); s.Refused > 0 || s.HighestLevel > s.Capacity {
		t.Errorf("%d requests were refused, the bucket rose to %.1f of %.0f", s.Refused, s.HighestLevel, s.Capacity)
	}
}
