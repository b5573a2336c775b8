package service_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
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
