package service_test

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/rules"
)

// TestALoneEvent: one edit of a person has its effect at once, on a portal whose requests
// take 60 ms and 15 ms a command, and one save in two requests leads
// to at most two runs.
func TestALoneEvent(t *testing.T) {
	t.Parallel()
	text, err := rules.FS.ReadFile("invoice-total.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, apptest.Options{
		Plan: emulator.PlanStandard, Emulator: emulator.Config{Latency: emulator.Latency{Request: 60 * time.Millisecond, Command: 15 * time.Millisecond}},
		Rules:  fstest.MapFS{"invoice-total.yaml": {Data: append([]byte("# without a debounce: it has the default\n"), text...)}},
		Inputs: map[string]map[string]string{"invoice-total": {"helper_type": "{type}"}},
	})
	invoice, err := h.People.AddInvoice(h.Context(), "Invoice", row("Nails", "2", "3"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	h.wantTotal(invoice, "6")
	if runs := h.States()["succeeded"]; runs > 2 {
		t.Errorf("a save in two requests led to %d runs", runs)
	}
	time.Sleep(1100 * time.Millisecond) // the invoice is quiet
	edited := time.Now()
	if err := h.People.SetRows(h.Context(), "SI", invoice, []demo.Row{row("Nails", "2", "4")}); err != nil {
		t.Fatal(err)
	}
	h.Until("the total is written", func() bool {
		all, err := h.People.Helpers(h.Context(), h.IDs.TotalsType, invoice)
		return err == nil && len(all) == 1 && all[0].String() == "8"
	})
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	runs = slices.DeleteFunc(runs, func(r journal.Run) bool { return r.First.Before(edited) })
	if len(runs) == 0 {
		t.Fatal("the edit led to no run")
	}
	first := slices.MinFunc(runs, func(a, b journal.Run) int { return a.First.Compare(b.First) })
	if first.Due.After(first.First) {
		t.Errorf("the run of a lone event was due %s after it, as if it had waited for quiet", first.Due.Sub(first.First))
	}
}
