package service_test

import (
	"testing"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestRecordOfAnUnchangedRun: most runs change nothing, so their records must be small on
// disk. They still have each step and each command.
func TestRecordOfAnUnchangedRun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Deal", row("Nails", "2", "3"), row("Tiles", "12.5", "4"), row("Roof", "300", "1"))
	h.Touch(deal, "Another title")
	invoice, err := h.People.AddInvoice(h.Context(), "Invoice", row("Nails", "2", "3"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	if err := h.People.Rename(h.Context(), invoice, "Another title"); err != nil {
		t.Fatal(err)
	}
	h.Wait()
	for _, rule := range []string{"deal-shipments", "invoice-total"} {
		runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Portal: demo.PortalName, Rule: rule, Limit: 1})
		if err != nil || len(runs) == 0 {
			t.Fatal(runs, err)
		}
		attempts, err := journal.Attempts(h.Context(), h.Service.Queue().Database(), runs[0].ID)
		if err != nil || len(attempts) == 0 {
			t.Fatal(attempts, err)
		}
		stored := attempts[0].Record
		record, err := history.ReadRecord(stored)
		if err != nil || !record.Brief || len(record.Steps) == 0 || record.Calls == 0 {
			t.Fatalf("%s: %s: %v", rule, stored, err)
		}
		text, err := history.UnpackRecord(stored)
		if err != nil {
			t.Fatal(err)
		}
		if len(stored) > 700 {
			t.Errorf("%s: the record of an unchanged run has %d bytes, %d before compression:\n%s", rule, len(stored), len(text), text)
		}
	}
}
