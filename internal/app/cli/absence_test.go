package cli

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// quickCatchUp is a catch-up whose margin does not reach back to before a test.
func quickCatchUp() *config.CatchUp {
	c := config.DefaultCatchUp
	c.Margin = time.Second
	return &c
}

// aged makes the last sign of life older, as if serve had been away for longer.
func (h *harness) aged(by time.Duration) {
	h.t.Helper()
	db, err := openRaw(filepath.Join(h.options.dir, "b24rules.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE b24_note SET set_at = set_at - $1 WHERE name = $2`, by.Microseconds(), HeartbeatNote(stagePortal)); err != nil {
		h.t.Fatal(err)
	}
}

// back starts the engine and waits until its absence has been made up for.
func (h *harness) back() catchup.Job {
	h.t.Helper()
	since := time.Now()
	h.start()
	return h.caughtUp(since)
}

// caughtUp waits until an absence that was noticed since then has been made up
// for.
func (h *harness) caughtUp(since time.Time) catchup.Job {
	h.t.Helper()
	var j catchup.Job
	h.until("caught up", func() bool {
		var ok bool
		var err error
		if j, ok, err = catchup.Load(h.context(), h.service.Queue(), stagePortal, ""); err != nil {
			h.t.Fatal(err)
		}
		return ok && j.Over() && !j.Started.Before(since.Round(0))
	})
	h.wait()
	return j
}

// While serve is away deals are added, changed and deleted. After its start
// everything agrees, although no event of it ever arrived.
func TestServeCatchesUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{catchUp: quickCatchUp()})
	kept := h.addDeal("Kept", row{"Tiles", "10", "1"})
	changed := h.addDeal("Changed", row{"Tiles", "10", "1"})
	deleted := h.addDeal("Deleted", row{"Tiles", "10", "1"})
	if h.logged("the first start with this portal") != 1 || h.logged("may have been missed") != 0 {
		t.Error("the first start is not told, or taken for an absence")
	}
	h.stop()
	added := h.fill(60)
	h.setRowsQuietly(changed, row{"Tiles", "10", "3"})
	if err := h.people.deleteDeal(h.context(), deleted); err != nil {
		t.Fatal(err)
	}
	if err := h.portal.WaitIdle(h.context()); err != nil {
		t.Fatal(err)
	}
	h.aged(2 * leftoversAfter) // so that it is looked for what deleted deals left
	j := h.back()
	if n := h.missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
	wantNames(t, h.elements(kept), "Tiles × 1")
	wantNames(t, h.elements(changed), "Tiles × 3")
	wantNames(t, h.elements(deleted))
	if j.Orphans != 1 || j.Seen < 61 {
		t.Errorf("the job is %+v", j)
	}
	if h.logged("away=2m") == 0 || h.logged("catch-up: all that was missed is in the queue") != 1 {
		t.Error("the log does not tell of it")
	}
	// A short restart looks at what has changed of late only, and writes nothing.
	time.Sleep(3100 * time.Millisecond) // a margin of a second, and two whose parts the portal does not tell
	h.stop()
	writes := len(h.portal.History())
	if j = h.back(); j.Seen != 0 || len(j.Remains) != 0 {
		t.Errorf("after a short restart the job is %+v", j)
	}
	if n := len(h.portal.History()) - writes; n != 0 {
		t.Errorf("%d changes for nothing", n)
	}
}

// The process ends in the middle of its catch-up and the next one goes on with
// it, while the portal does not even answer at first.
func TestCatchUpSurvivesACrash(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{catchUp: quickCatchUp()})
	h.addDeal("First", row{"Tiles", "10", "1"})
	h.stop()
	added := h.fill(130)
	if err := h.portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "crm.item.list", Delay: 400 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.until("a page is stored", func() bool {
		j, ok, err := catchup.Load(h.context(), h.service.Queue(), stagePortal, "")
		return err == nil && ok && j.Seen > 0 && !j.Over()
	})
	h.stop()
	if err := h.portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.back()
	if n := h.missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

func TestCatchUpKeepsItsLimits(t *testing.T) {
	t.Parallel()
	limits := quickCatchUp()
	limits.Longest, limits.Entities = time.Hour, 10
	h := newHarness(t, harnessOptions{catchUp: limits})
	h.stop()
	added := h.fill(11)
	if j := h.back(); j.Failed == "" || h.missing(added) != len(added) {
		t.Errorf("11 entities where 10 are the limit: %+v", j)
	}
	h.until("told", func() bool { return h.logged("b24rules sync --rule ID --since") > 0 })
	h.stop()
	h.aged(2 * time.Hour)
	h.start()
	h.until("told", func() bool { return h.logged("catch_up makes up for 1h0m0s") > 0 })
}

// What would be done twice is not made up for.
func TestCatchUpLeavesLoudRulesAlone(t *testing.T) {
	t.Parallel()
	set, err := rules.FS.ReadFile("deal-shipments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, harnessOptions{
		catchUp: quickCatchUp(), inputs: map[string]map[string]string{"deal-shipments": {"list": "{list}"}},
		rules: fstest.MapFS{"deal-shipments.yaml": {Data: set}, "loud.yaml": {Data: []byte(`version: 1
rules:
  loud:
    on: ONCRMDEALADD
    steps:
      - call: {method: crm.deal.userfield.add, params: {fields: {FIELD_NAME: X}}}
`)}},
	})
	h.stop()
	added := h.fill(3)
	h.back()
	if n := h.missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
	runs, err := h.service.Queue().Runs(h.context(), queue.Filter{Rule: "loud"})
	if err != nil || len(runs) != 0 || h.logged("it would do again what it has done") == 0 {
		t.Errorf("%d runs of a rule that calls something each time, %v", len(runs), err)
	}
}

// A sign of life that is long ago although the process lives: it was stopped, or
// its computer slept.
func TestSilenceIsAnAbsence(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{catchUp: quickCatchUp()})
	if err := h.service.downtime.heartbeat(h.context(), h.service.Portal(stagePortal)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := catchup.Load(h.context(), h.service.Queue(), stagePortal, ""); ok || err != nil {
		t.Errorf("a beat in time makes a job (%v)", err)
	}
	since := time.Now()
	h.aged(longestGap + time.Second)
	if err := h.service.downtime.heartbeat(h.context(), h.service.Portal(stagePortal)); err != nil {
		t.Fatal(err)
	}
	h.caughtUp(since)
	h.aged(longestGap + time.Second)
	ctx, cancel := context.WithCancel(h.context())
	cancel()
	if err := h.service.downtime.heartbeat(ctx, h.service.Portal(stagePortal)); err == nil {
		t.Error("a beat without a database is no error")
	}
	if n, _, err := h.service.Queue().Note(h.context(), HeartbeatNote(stagePortal)); err != nil || time.Since(n.Set) < longestGap {
		t.Error("a sign of life was stored before what was missed")
	}
}

// refuse makes the database refuse rows of a table that meet a condition, until
// it is allowed again.
func (h *harness) refuse(table, when string) (allow func()) {
	h.t.Helper()
	db, err := openRaw(filepath.Join(h.options.dir, "b24rules.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = db.Close() })
	exec := func(text string) {
		h.t.Helper()
		if _, err := db.Exec(text); err != nil {
			h.t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON ` + table + ` WHEN ` + when + ` BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	return func() { exec(`DROP TRIGGER refuse`) }
}

// An event that could not be stored is lost, for the portal does not send it
// again; what it told of is looked for, however short that was.
func TestAnEventThatWasNotStoredIsMadeUpFor(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{catchUp: quickCatchUp()})
	h.until("alive", func() bool { return h.logged("the first start with this portal") == 1 })
	allow := h.refuse("b24_event", "TRUE")
	deal, err := h.people.addDeal(h.context(), "Roof", row{"Tiles", "10", "1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.portal.WaitIdle(h.context()); err != nil {
		t.Fatal(err)
	}
	allow()
	since := time.Now()
	if err := h.service.downtime.heartbeat(h.context(), h.service.Portal(stagePortal)); err != nil {
		t.Fatal(err)
	}
	h.caughtUp(since)
	wantNames(t, h.elements(deal), "Tiles × 1")
}

// A start at which the absence cannot be stored does not forget it, and nor does
// an end right after it.
func TestAnAbsenceThatCannotBeStoredIsNotForgotten(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{catchUp: quickCatchUp()})
	h.until("alive", func() bool { return h.logged("the first start with this portal") == 1 })
	h.stop()
	added := h.fill(1)
	allow := h.refuse("b24_note", "NEW.name LIKE 'catchup.%'")
	for n := 1; n <= 2; n++ {
		h.start()
		h.until("told", func() bool { return h.logged("the sign of life cannot be stored") >= 2*n-1 })
		if n == 1 {
			h.stop()
		}
	}
	allow()
	since := time.Now()
	if err := h.service.downtime.heartbeat(h.context(), h.service.Portal(stagePortal)); err != nil {
		t.Fatal(err)
	}
	h.caughtUp(since)
	if n := h.missing(added); n != 0 {
		t.Errorf("%d deals have no element", n)
	}
}

func openRaw(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
}
