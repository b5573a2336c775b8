package service_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/store"
)

// made are the records that rules have made: rule, place and how many.
func (h *harness) made() (out []string) {
	h.T.Helper()
	l := ledger.New(h.Service.Queue().Database())
	marks, err := l.Marks(h.Context(), "")
	if err != nil {
		h.T.Fatal(err)
	}
	for _, m := range marks {
		n, err := l.Count(h.Context(), m.ID)
		if err != nil {
			h.T.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %d", m.Rule, m.Place, n))
	}
	return out
}

// TestMade: what rules make is stored with the end of a run, a run that changes nothing
// stores nothing, and a sync stores what an attempt that was killed has made.
func TestMade(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	want := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, h.made()[:len(want)]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	list, total := fmt.Sprintf("deal-shipments list:%d", h.IDs.ShipmentList), fmt.Sprintf("invoice-total item:%d", h.IDs.TotalsType)
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"), row("Nails", "1", "2"))
	h.addInvoice("10")
	h.Wait()
	want("made", list+" 2", total+" 1")

	writers := func() int64 {
		var run int64
		for _, e := range h.Elements(deal) {
			got, err := ledger.New(h.Service.Queue().Database()).Writers(h.Context(), demo.PortalName, fmt.Sprintf("list:%d", h.IDs.ShipmentList), int64(e.ID()))
			if err != nil || len(got) != 1 || got[0].EntityTypeID != 2 || got[0].EntityID != int64(deal) {
				t.Fatalf("writers %+v, %v", got, err)
			}
			run = max(run, got[0].Run)
		}
		return run
	}
	first := writers()
	h.Touch(deal, "Roof 2")
	h.Wait()
	if now := writers(); now != first {
		t.Errorf("a run that changed nothing is the writer: %d, was %d", now, first)
	}
	h.SetRows(deal, row("Tiles", "10", "3"))
	h.Wait()
	want("a row less", list+" 1", total+" 1")

	if err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `DELETE FROM b24_made`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	job := catchup.Job{Portal: demo.PortalName, Rule: "deal-shipments", Types: []int{2}, Started: since, Since: since.Add(-time.Hour).Truncate(time.Second)}
	if err := catchup.Start(h.Context(), h.Service.Queue(), job); err != nil {
		t.Fatal(err)
	}
	h.Until("synced", func() bool { return h.made()[0] == list+" 1" })
	h.Wait()
	if err := h.People.DeleteDeal(h.Context(), deal); err != nil {
		t.Fatal(err)
	}
	h.Wait()
	want("deleted", list+" 0")
}

// TestMadeByAnInterruptedRun: a run adds a record and is stopped before it ends. The next start of the
// run counts as its first attempt and changes nothing, and the ledger has the record.
func TestMadeByAnInterruptedRun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Limits: config.Limits{Grace: time.Millisecond}})
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "lists.element.add", After: true, Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "3"))
	if err != nil {
		t.Fatal(err)
	}
	h.Until("the element is added, and its answer is late", func() bool { return len(h.Elements(deal)) == 1 })
	h.Stop()
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Wait()
	want := fmt.Sprintf("deal-shipments list:%d 1", h.IDs.ShipmentList)
	if got := h.made(); !slices.Contains(got, want) || len(h.Elements(deal)) != 1 {
		t.Errorf("made %v, want %s; %d elements", got, want, len(h.Elements(deal)))
	}
}

// TestBackAfterPrune: a rule that is removed, whose elements are pruned, and that is then put back, has
// what it makes from then on: status does not say that no rule has it.
func TestBackAfterPrune(t *testing.T) {
	t.Parallel()
	const note = "version: 1\nrules:\n  note:\n    on: ONCRMDEALUPDATE\n    debounce: 10ms\n    steps:\n      - upsert_element: {list: 47, key: =event.id, fields: {NAME: x}}\n"
	const other = "version: 1\nrules:\n  other:\n    on: ONCRMLEADADD\n    steps: [{log: {message: x}}]\n"
	files := &ruleFiles{files: fstest.MapFS{}}
	files.set(map[string]string{"a.yaml": note, "b.yaml": other})
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	deal := h.AddDeal("Roof")
	mark := func() ledger.Mark {
		t.Helper()
		marks, err := ledger.New(h.Service.Queue().Database()).Marks(h.Context(), demo.PortalName)
		if err != nil || len(marks) != 1 {
			t.Fatalf("marks %+v, %v", marks, err)
		}
		return marks[0]
	}
	touch := func() {
		t.Helper()
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
	}
	touch()
	files.remove("a.yaml")
	h.Service.Reload()
	h.Until("it is an orphan", func() bool { return !mark().Orphan.IsZero() })
	found, err := h.Service.FindPrune(h.Context(), mark(), "lists")
	if err != nil || len(found.IDs) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	act, err := audit.New(h.Service.Queue().Database()).Begin(h.Context(), audit.Entry{Action: audit.Pruned}, func(int) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.Service.DoPrune(h.Context(), found, act); n != 1 || err != nil {
		t.Fatalf("%d pruned, %v", n, err)
	}
	files.set(map[string]string{"a.yaml": note, "b.yaml": other})
	h.Service.Reload()
	touch()
	h.Until("the rule has it", func() bool { m := mark(); return m.Made && m.Orphan.IsZero() })
}

// TestRemovedWhileInterrupted: a run adds a record and is stopped before it ends, and its rule is removed
// before the next start. No count has the record, and status says that. When the rule is back, it has it.
func TestRemovedWhileInterrupted(t *testing.T) {
	t.Parallel()
	const note = "version: 1\nrules:\n  note:\n    on: ONCRMDEALUPDATE\n    debounce: 10ms\n    steps:\n      - upsert_element: {list: 47, key: =event.id, fields: {NAME: x, DEAL: =event.id}}\n"
	const other = "version: 1\nrules:\n  other:\n    on: ONCRMLEADADD\n    steps: [{log: {message: x}}]\n"
	files := &ruleFiles{files: fstest.MapFS{}}
	files.set(map[string]string{"a.yaml": note, "b.yaml": other})
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true, Limits: config.Limits{Grace: time.Millisecond}})
	deal := h.AddDeal("Roof")
	h.Wait()
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "lists.element.add", After: true, Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	h.Post(h.HookURL, formType, h.dealEvent(deal))
	h.Until("the element is added, and its answer is late", func() bool { return len(h.Elements(deal)) == 1 })
	h.Stop()
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	files.remove("a.yaml")
	h.Start()
	said := func() (started, orphans int) {
		t.Helper()
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Portals[0].Rules {
			started += r.Started
		}
		return started, len(s.Portals[0].Orphans)
	}
	h.Until("status says that a run has started", func() bool { n, _ := said(); return n == 1 })
	files.set(map[string]string{"a.yaml": note, "b.yaml": other})
	h.Service.Reload()
	h.Wait()
	if n, orphans := said(); n != 0 || orphans != 0 {
		t.Errorf("%d runs and %d marks are said after the rule is back", n, orphans)
	}
	if got := h.made(); !slices.Equal(got, []string{fmt.Sprintf("note list:%d 1", h.IDs.ShipmentList)}) {
		t.Errorf("made %v", got)
	}
}
