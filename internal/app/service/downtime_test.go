package service_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/rules"
)

// aged makes the last heartbeat older, as after a longer downtime.
func (h *harness) aged(by time.Duration) {
	h.T.Helper()
	db, err := openRaw(filepath.Join(h.Options.Dir, "b24rules.db"))
	if err != nil {
		h.T.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE b24_note SET set_at = set_at - $1 WHERE name = $2`, by.Microseconds(), service.HeartbeatNote(demo.PortalName)); err != nil {
		h.T.Fatal(err)
	}
}

// While serve is away deals are added, changed and deleted. After its start
// everything agrees, although no event of it ever arrived.
func TestServeCatchesUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	kept := h.AddDeal("Kept", row("Tiles", "10", "1"))
	changed := h.AddDeal("Changed", row("Tiles", "10", "1"))
	deleted := h.AddDeal("Deleted", row("Tiles", "10", "1"))
	if h.Logged("first start with this portal") != 1 || h.Logged("may have been missed") != 0 {
		t.Error("the first start is not logged, or it counts as a downtime")
	}
	h.Stop()
	added := h.Fill(60)
	h.SetRowsQuietly(changed, row("Tiles", "10", "3"))
	if err := h.People.DeleteDeal(h.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	h.aged(3 * time.Second) // also after a short downtime, catch-up looks for leftovers of deleted deals
	j := h.Back()
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
	apptest.WantNames(t, h.Elements(kept), "Tiles × 1")
	apptest.WantNames(t, h.Elements(changed), "Tiles × 3")
	apptest.WantNames(t, h.Elements(deleted))
	if j.Orphans != 1 || j.Seen < 61 {
		t.Errorf("the job is %+v", j)
	}
	if h.Logged("events may have been missed") == 0 || h.Logged("catch-up: all entities of the downtime are in the queue") != 1 {
		t.Error("the log does not tell of it")
	}
	// A short restart looks at recent changes and at leftovers, and writes nothing.
	time.Sleep(3100 * time.Millisecond) // a margin of a second, and two whose parts the portal does not tell
	h.Stop()
	writes := len(h.Portal.History())
	if j = h.Back(); j.Seen != 0 || len(j.Leftovers) == 0 || j.Orphans != 0 {
		t.Errorf("after a short restart the job is %+v", j)
	}
	if n := len(h.Portal.History()) - writes; n != 0 {
		t.Errorf("%d changes for nothing", n)
	}
}

// TestCatchUpSurvivesACrash: the process ends during its catch-up, and the next one
// resumes it, although the portal does not answer at first.
func TestCatchUpSurvivesACrash(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	h.AddDeal("First", row("Tiles", "10", "1"))
	h.Stop()
	added := h.Fill(130)
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "crm.item.list", Delay: 400 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Until("a page is stored", func() bool {
		j, ok, err := catchup.Load(h.Context(), h.Service.Queue(), demo.PortalName, "")
		return err == nil && ok && j.Seen > 0 && !j.Over()
	})
	h.Stop()
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.Back()
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

// TestCatchUpKeepsItsLimits: a catch-up that is too long, or has too many entities, waits
// for a person, over any number of starts, and is not lost.
func TestCatchUpKeepsItsLimits(t *testing.T) {
	t.Parallel()
	limits := apptest.QuickCatchUp()
	limits.Longest, limits.Entities = time.Hour, 10
	h := newHarness(t, apptest.Options{CatchUp: limits})
	h.Stop()
	added := h.Fill(11)
	if j := h.Back(); j.Failed == "" || h.Missing(added) != len(added) {
		t.Errorf("11 entities where 10 are the limit: %+v", j)
	}
	h.Stop()
	h.aged(2 * time.Hour)
	h.Start()
	h.Until("both wait for a person", func() bool { // a slow machine may have a third, of an event during a stop
		long, many := false, false
		for _, w := range h.windows() {
			long = long || w.Held && strings.Contains(w.Note, "catch_up.longest is 1h0m0s")
			many = many || w.Held && strings.Contains(w.Note, "11 entities of type 2")
		}
		return long && many
	})
	if h.Logged("b24rules catchup run") < 2 {
		t.Error("the log does not name the command")
	}
	if err := catchup.NewWindows(h.Service.Queue().Database()).Order(h.Context(), h.windows()); err != nil {
		t.Fatal(err)
	}
	h.Until("caught up", func() bool { return len(h.windows()) == 0 })
	h.Wait()
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

// windows are the open windows.
func (h *harness) windows() []catchup.Window {
	h.T.Helper()
	all, err := catchup.NewWindows(h.Service.Queue().Database()).List(h.Context(), "")
	if err != nil {
		h.T.Fatal(err)
	}
	return all
}

// TestRefusedTypeStaysAWindow: what the portal does not list stays as a window of the rules
// that need it, and is caught up when the portal lists it.
func TestRefusedTypeStaysAWindow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	h.Stop()
	added := h.Fill(2)
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "crm.item.list", Code: "ACCESS_DENIED", Status: 400}); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Until("windows of rules", func() bool { w := h.windows(); return len(w) > 0 && w[0].Rule != "" })
	for _, w := range h.windows() {
		if w.Rule == "" || w.Held || !strings.Contains(w.Note, "ACCESS_DENIED") || time.Until(w.Next) < 50*time.Minute {
			t.Errorf("the window is %+v", w)
		}
	}
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	if err := catchup.NewWindows(h.Service.Queue().Database()).Order(h.Context(), h.windows()); err != nil {
		t.Fatal(err)
	}
	h.Until("caught up", func() bool { return len(h.windows()) == 0 })
	h.Wait()
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

// TestManyMissingEntities: when many entities are missing at once, their elements stay
// until a person decides: perhaps only the right to see them is lost.
func TestManyMissingEntities(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	var deals []int
	for range 12 {
		deals = append(deals, h.AddDeal("Deal", row("Tiles", "10", "1")))
	}
	h.Stop()
	for _, d := range deals[:6] {
		if err := h.People.DeleteDeal(h.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Until("a person decides", func() bool { w := h.windows(); return len(w) == 1 && w[0].Held && w[0].Rule == "deal-shipments" })
	if w := h.windows()[0]; !strings.Contains(w.Note, "6 of 12 entities of type 2 with records in list") {
		t.Errorf("the window is %+v", w)
	}
	h.Wait()
	if n := h.Missing(deals); n != 0 {
		t.Errorf("the elements of %d deals are gone", n)
	}
	if err := catchup.NewWindows(h.Service.Queue().Database()).Order(h.Context(), h.windows()); err != nil {
		t.Fatal(err)
	}
	h.Until("caught up", func() bool { return len(h.windows()) == 0 })
	h.Wait()
	if n := h.Missing(deals); n != 6 {
		t.Errorf("%d deals have no element, want the 6 that were deleted", n)
	}
}

// TestCatchUpSkipsRulesThatRepeat: a rule that repeats a step in every run is not
// caught up.
func TestCatchUpSkipsRulesThatRepeat(t *testing.T) {
	t.Parallel()
	set, err := rules.FS.ReadFile("deal-shipments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, apptest.Options{
		CatchUp: apptest.QuickCatchUp(), Inputs: map[string]map[string]string{"deal-shipments": {"list": "{list}"}},
		Rules: fstest.MapFS{"deal-shipments.yaml": {Data: set}, "loud.yaml": {Data: []byte(`version: 1
rules:
  loud:
    on: ONCRMDEALADD
    steps:
      - call: {method: crm.deal.userfield.add, params: {fields: {FIELD_NAME: X}}}
`)}},
	})
	h.Stop()
	added := h.Fill(3)
	h.Back()
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: "loud"})
	if err != nil || len(runs) != 0 || h.Logged("it repeats steps in every run") == 0 {
		t.Errorf("%d runs of a rule that calls something each time, %v", len(runs), err)
	}
}

// The last heartbeat is old although the process runs: it was stopped, or
// its computer slept.
func TestNoHeartbeatIsDowntime(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	if err := h.Service.Heartbeat(h.Context(), demo.PortalName); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := catchup.Load(h.Context(), h.Service.Queue(), demo.PortalName, ""); ok || err != nil {
		t.Errorf("a heartbeat in time makes a job (%v)", err)
	}
	since := time.Now()
	h.aged(service.LongestGap + time.Second)
	if err := h.Service.Heartbeat(h.Context(), demo.PortalName); err != nil {
		t.Fatal(err)
	}
	h.CaughtUp(since)
	h.aged(service.LongestGap + time.Second)
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if err := h.Service.Heartbeat(ctx, demo.PortalName); err == nil {
		t.Error("a heartbeat without a database is no error")
	}
	if n, _, err := notes.Get(h.Context(), h.Service.Queue().Database(), service.HeartbeatNote(demo.PortalName)); err != nil || time.Since(n.Set) < service.LongestGap {
		t.Error("a heartbeat was stored before the job")
	}
}

// refuse makes the database refuse rows of a table that meet a condition, until
// it is allowed again.
func (h *harness) refuse(table, when string) (allow func()) {
	h.T.Helper()
	db, err := openRaw(filepath.Join(h.Options.Dir, "b24rules.db"))
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { _ = db.Close() })
	exec := func(text string) {
		h.T.Helper()
		if _, err := db.Exec(text); err != nil {
			h.T.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON ` + table + ` WHEN ` + when + ` BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	return func() { exec(`DROP TRIGGER refuse`) }
}

// TestAnEventThatWasNotStoredIsCaughtUp: the portal does not send an event again that
// could not be stored, so its change is caught up, however short the failure was.
func TestAnEventThatWasNotStoredIsCaughtUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	h.Until("alive", func() bool { return h.Logged("first start with this portal") == 1 })
	allow := h.refuse("b24_event", "TRUE")
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	allow()
	since := time.Now()
	if err := h.Service.Heartbeat(h.Context(), demo.PortalName); err != nil {
		t.Fatal(err)
	}
	h.CaughtUp(since)
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
}

// TestUnstoredEvents: events that got 503 are stored when the database takes them again,
// without a catch-up. Their runs need it: what was deleted leaves no change to find.
func TestUnstoredEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	gone := h.AddDeal("Gone", row("Tiles", "10", "1"))
	allow := h.refuse("b24_event", "TRUE")
	added, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.People.DeleteDeal(h.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	allow()
	h.Until("stored", func() bool { return h.Logged("stored events that the database did not take before") > 0 })
	h.Wait()
	apptest.WantNames(t, h.Elements(added), "Tiles × 1")
	apptest.WantNames(t, h.Elements(gone))
}

// A start at which the absence cannot be stored does not forget it, and nor does
// an end right after it.
func TestDowntimeThatCannotBeStoredIsKept(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	h.Until("alive", func() bool { return h.Logged("first start with this portal") == 1 })
	h.Stop()
	added := h.Fill(1)
	allow := h.refuse("b24_window", "TRUE")
	for n := 1; n <= 2; n++ {
		h.Start()
		h.Until("logged", func() bool { return h.Logged("cannot store heartbeat") >= 2*n-1 })
		if n == 1 {
			h.Stop()
		}
	}
	allow()
	since := time.Now()
	if err := h.Service.Heartbeat(h.Context(), demo.PortalName); err != nil {
		t.Fatal(err)
	}
	h.CaughtUp(since)
	if n := h.Missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

func openRaw(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
}
