package service_test

import (
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
)

// TestRightsReduced: the user of the webhook loses the right to items of other people. The portal
// omits them in lists without a word, but no rule makes a second helper, and no sync deletes
// what belongs to deals that only seem to be gone. With the right back, a replay repairs all.
func TestRightsReduced(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	berta := h.Portal.AddUser(emulator.User{Name: "Berta"})
	invoice := h.addInvoice("10")
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"))
	h.Wait()
	h.wantTotal(invoice, "30")
	var helpers struct {
		Items []struct{ ID int64 }
	}
	h.Rest("crm.item.list", map[string]any{"entityTypeId": h.IDs.TotalsType}, &helpers)
	if len(helpers.Items) != 1 {
		t.Fatalf("helpers %v", helpers.Items)
	}
	h.Rest("crm.item.update", map[string]any{"entityTypeId": h.IDs.TotalsType, "id": helpers.Items[0].ID, "fields": map[string]any{"assignedById": berta}}, nil)
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"ASSIGNED_BY_ID": berta}}, nil)
	h.Wait()

	h.Portal.AddUser(emulator.User{ID: 1, Name: "Anna", NotAdmin: true, OwnItems: true})
	since := time.Now()
	for _, job := range []catchup.Job{{Rule: "invoice-total", Types: []int{31}}, {Rule: "deal-shipments", Types: []int{2}}} {
		job.Portal, job.Started, job.Since = demo.PortalName, since, since.Add(-time.Hour).Truncate(time.Second)
		if err := catchup.Start(h.Context(), h.Service.Queue(), job); err != nil {
			t.Fatal(err)
		}
	}
	h.Until("the syncs have ended", func() bool {
		open, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Open: true, Kind: catchup.KindSync})
		return err == nil && len(open) == 0
	})
	h.Wait()
	parked, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Parked}})
	if err != nil {
		t.Fatal(err)
	}
	if len(parked) != 1 || parked[0].Rule != "invoice-total" || !strings.Contains(parked[0].Error, "may not read it now") {
		t.Errorf("parked %+v", parked)
	}

	h.Portal.AddUser(emulator.User{ID: 1, Name: "Anna"})
	for _, run := range parked {
		if err := h.Service.Queue().Replay(h.Context(), run.ID, "anna@web1"); err != nil {
			t.Fatal(err)
		}
	}
	h.Wait()
	h.wantTotal(invoice, "30")
	apptest.WantNames(t, h.Elements(deal), "Tiles × 3")
	if n := h.States()[journal.Parked]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
}

// TestRightsLost: an administrator's webhook becomes one of a user who does not see all. Status says
// so until the rights are back. See TestAlertsOfRights.
func TestRightsLost(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	read := func() (report.PortalStatus, map[string]report.LostRights) {
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
		if err != nil {
			t.Fatal(err)
		}
		lost, err := report.ReadLostRights(h.Context(), h.Service.Queue(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return s.Portals[0], lost
	}
	look := func(notAdmin bool) report.Rights {
		h.Portal.AddUser(emulator.User{ID: 1, Name: "Anna", NotAdmin: notAdmin})
		if err := jobs.New(h.Service.Queue().Database()).Replace(h.Context(), jobs.Job{Portal: demo.PortalName, Kind: "rights", Every: time.Hour}); err != nil {
			t.Fatal(err)
		}
		var r report.Rights
		h.Until("the rights are looked at", func() bool {
			n, ok, err := notes.Get(h.Context(), h.Service.Queue().Database(), report.RightsNote(demo.PortalName))
			if err == nil && ok {
				r, err = report.ReadRights(n)
			}
			return err == nil && ok && r.Admin == !notAdmin
		})
		return r
	}
	if r := look(true); !r.Lost.IsZero() {
		t.Errorf("a user who never was an administrator has lost nothing: %+v", r)
	}
	look(false)
	if p, lost := read(); p.Rights != nil || p.Condition != report.PortalFine || len(lost) > 0 {
		t.Errorf("an administrator: %+v, %v", p, lost)
	}
	since := look(true).Lost
	p, lost := read()
	if p.Condition != report.PortalRights || !p.Attention() || p.Rights == nil || !p.Rights.Since.Equal(since) || !strings.Contains(p.Why, "user 1, Anna is no administrator any more") || len(lost) != 1 {
		t.Errorf("lost: %+v, %v", p, lost)
	}
	if later, err := report.ReadLostRights(h.Context(), h.Service.Queue(), time.Now().AddDate(0, 0, 8)); err != nil || len(later) > 0 {
		t.Errorf("after a week %v, %v", later, err)
	}
	look(false)
	if p, lost := read(); p.Rights != nil || p.Condition != report.PortalFine || len(lost) > 0 {
		t.Errorf("the rights are back: %+v, %v", p, lost)
	}
}
