package apptest

import (
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/catchup"
)

// Back starts the engine and waits until it has caught up.
func (h *Harness) Back() catchup.Job {
	h.T.Helper()
	since := time.Now()
	h.Start()
	return h.CaughtUp(since)
}

// CaughtUp waits until a catch-up that started after since has ended.
func (h *Harness) CaughtUp(since time.Time) catchup.Job {
	h.T.Helper()
	var j catchup.Job
	h.Until("caught up", func() bool {
		var ok bool
		var err error
		if j, ok, err = catchup.Load(h.Context(), h.Service.Queue(), demo.PortalName, ""); err != nil {
			h.T.Fatal(err)
		}
		return ok && j.Over() && !j.Started.Before(since.Round(0))
	})
	h.Wait()
	return j
}

// QuickCatchUp is a catch-up whose margin does not reach back beyond a test.
func QuickCatchUp() *config.CatchUp {
	c := config.DefaultCatchUp
	c.Margin = time.Second
	return &c
}

// NewApplication returns a harness whose engine is an installed application of the
// portal.
func NewApplication(t testing.TB, kind string, e emulator.Config) *Harness {
	t.Helper()
	h := New(t, Options{Application: kind, Emulator: e})
	h.Portal.App().Install(h.HookURL)
	h.Wait()
	h.Until("events bound", func() bool { return h.Logged("events bound") > 0 })
	return h
}
