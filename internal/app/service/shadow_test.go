package service_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/shadow"
)

// TestShadowOfAnApplication: an application in shadow mode binds, fetches and confirms its
// own events, and writes nothing else. No script does the work, so each entity differs. A
// difference counts after the second comparison, also over a restart.
func TestShadowOfAnApplication(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Application: "offline", Emulator: emulator.Config{}, Shadow: 100 * time.Millisecond})
	h.Portal.App().Install(h.HookURL)
	h.Wait()
	h.Until("events bound", func() bool { return h.Logged("events bound") > 0 })
	h.Portal.Reset() // the seed
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "33.33", "3"), row("Nails", "1", "5"))
	if err != nil {
		t.Fatal(err)
	}
	result := func() *shadow.Result {
		all, err := shadow.Read(h.Context(), h.Service.Queue().Database(), demo.PortalName, 10)
		if err != nil {
			t.Fatal(err)
		}
		if r := all["deal-shipments"]; r != nil {
			return r
		}
		return &shadow.Result{}
	}
	h.Until("the first comparison", func() bool { r := result(); return r.Pending+r.Compared > 0 })
	h.Stop()
	h.Start()
	h.Until("the second comparison", func() bool { return result().Compared > 0 })
	h.Wait()
	r := result()
	if r.Agreed != 0 || r.Differing != 1 || len(r.Entities) != 1 || len(r.Entities[0].Changes) != 2 {
		t.Errorf("the deal without elements: %+v", r)
	}
	if got := h.Elements(deal); len(got) != 0 {
		t.Errorf("the rule has written: %v", got)
	}
	ours := []string{"event.bind", "event.unbind", "event.offline.get", "event.offline.clear", "event.offline.error"}
	people := []string{"crm.deal.add", "crm.item.productrow.set"}
	for method, n := range h.Portal.Stats().Commands {
		for _, verb := range []string{".add", ".update", ".delete", ".set", ".bind", ".unbind", ".clear", ".error"} {
			if strings.HasSuffix(method, verb) && !slices.Contains(ours, method) && (!slices.Contains(people, method) || n > 1) {
				t.Errorf("the portal received %s %d times", method, n)
			}
		}
	}
	if h.Portal.Stats().Commands["event.offline.get"] == 0 {
		t.Error("the application fetched no events")
	}
}
