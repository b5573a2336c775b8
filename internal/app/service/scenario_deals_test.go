package service_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// These scenarios run the shipped rule set deal-shipments over real HTTP and
// SQLite on disk.

// written returns how many writes f caused.
func (h *harness) written(f func()) int64 {
	before := h.Counters().Writes
	f()
	return h.Counters().Writes - before
}

func TestDealRowsBecomeElements(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"), row("Nails", "0.07", "1000"), row("Work", "45.50", "2.5"))
	got := h.Elements(deal)
	apptest.WantNames(t, got, "Tiles × 3", "Nails × 1000", "Work × 2.5")
	for name, want := range map[string][2]string{"Tiles × 3": {"3", "99.99"}, "Nails × 1000": {"1000", "70"}, "Work × 2.5": {"2.5", "113.75"}} {
		e := got[name]
		if q, s := h.Property(e, "QUANTITY"), h.Property(e, "SUM"); q != want[0] || s != want[1] || h.Property(e, "DEAL") != fmt.Sprint(deal) {
			t.Errorf("%s: quantity %s, sum %s, deal %s", name, q, s, h.Property(e, "DEAL"))
		}
	}
}

// TestDealEdit changes a quantity as the product tab does, by saving all rows again.
// The row gets another id. Its element stays, and only this element is written.
func TestDealEdit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"), row("Nails", "1", "5"), row("Work", "50", "2"))
	before := h.Elements(deal)
	if err := h.People.Ship(h.Context(), before["Nails × 5"]); err != nil {
		t.Fatal(err)
	}
	ids := h.rowIDs(deal)
	writes := h.written(func() { h.SetRows(deal, row("Tiles", "10", "1"), row("Nails", "1", "7"), row("Work", "50", "2")) })
	if writes != 1 {
		t.Errorf("%d writes for one changed quantity, want 1", writes)
	}
	if now := h.rowIDs(deal); slices.Equal(ids, now) {
		t.Errorf("the portal kept the row ids %v: the scenario shows nothing", now)
	}
	after := h.Elements(deal)
	apptest.WantNames(t, after, "Tiles × 1", "Nails × 7", "Work × 2")
	if a, b := before["Nails × 5"].ID(), after["Nails × 7"].ID(); a != b {
		t.Errorf("the edited row's element is %d, was %d", b, a)
	}
	if v := h.Property(after["Nails × 7"], "SHIPPED"); v == "" || v != h.People.Shipped {
		t.Errorf("SHIPPED is %q after the update: the storekeeper's tick is lost", v)
	}
	if a, b := apptest.Text(before["Nails × 5"], "CODE"), apptest.Text(after["Nails × 7"], "CODE"); a != b || a == "" {
		t.Errorf("the element's code was %q and is %q", a, b)
	}
}

func (h *harness) rowIDs(deal int) []int {
	h.T.Helper()
	var list struct{ ProductRows []struct{ ID int } }
	h.Rest("crm.item.productrow.list", map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": deal}}, &list)
	var ids []int
	for _, r := range list.ProductRows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestDealRowRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"), row("Nails", "1", "5"), row("Work", "50", "2"))
	writes := h.written(func() { h.SetRows(deal, row("Tiles", "10", "1"), row("Work", "50", "2")) })
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1", "Work × 2")
	if writes != 1 {
		t.Errorf("%d writes for a removed row, want 1", writes)
	}
	// From some to none: after a second look everything goes.
	h.SetRows(deal)
	apptest.WantNames(t, h.Elements(deal))
}

func TestDealForeignElementStays(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	h.AddElement("gift-1", "A gift", map[string]any{"DEAL": deal, "COMMENT": "from the boss"})
	h.SetRows(deal, row("Tiles", "10", "2"), row("Nails", "1", "5"))
	got := h.Elements(deal)
	apptest.WantNames(t, got, "Tiles × 2", "Nails × 5", "A gift")
	if h.Property(got["A gift"], "COMMENT") != "from the boss" || apptest.Text(got["A gift"], "CODE") != "gift-1" {
		t.Errorf("the gift has changed: %v", got["A gift"])
	}
}

// TestDealAdoptsOldElements starts over a list that an older script has filled:
// its elements are taken over by what they hold, and nothing is doubled.
func TestDealAdoptsOldElements(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	h.Stop()
	var deal int
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Old"}}, &deal)
	h.Rest("crm.item.productrow.set", map[string]any{"ownerType": "D", "ownerId": deal, "productRows": []any{
		map[string]any{"productId": 501, "productName": "Tiles", "price": 10, "quantity": 2, "sort": 10},
		map[string]any{"productId": 502, "productName": "Nails", "price": 1, "quantity": 5, "sort": 20},
		map[string]any{"productId": 502, "productName": "Nails", "price": 2, "quantity": 6, "sort": 30},
	}}, nil)
	h.AddElement("script-1", "tiles", map[string]any{"DEAL": deal, "PRODUCT_ID": 501, "QUANTITY": 1, "COMMENT": "keep me", "SHIPPED": h.People.Shipped})
	h.AddElement("script-2", "nails", map[string]any{"DEAL": deal, "PRODUCT_ID": 502})
	h.Start()
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": "Old, touched"}}, nil)
	h.Wait()
	got := h.Elements(deal)
	apptest.WantNames(t, got, "Tiles × 2", "Nails × 5", "Nails × 6")
	if h.Property(got["Tiles × 2"], "COMMENT") != "keep me" || h.Property(got["Tiles × 2"], "SHIPPED") != h.People.Shipped {
		t.Errorf("the adopted element lost what people wrote: %v", got["Tiles × 2"])
	}
	if writes := h.written(func() { h.Touch(deal, "again") }); writes != 0 {
		t.Errorf("%d writes after the adoption, want none", writes)
	}
}

func TestDealDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	roof := h.AddDeal("Roof", row("Tiles", "10", "1"), row("Nails", "1", "5"), row("Work", "50", "2"))
	wall := h.AddDeal("Wall", row("Tiles", "10", "1"), row("Nails", "1", "5"))
	if err := h.People.DeleteDeal(h.Context(), roof); err != nil {
		t.Fatal(err)
	}
	h.Wait()
	apptest.WantNames(t, h.Elements(roof))
	apptest.WantNames(t, h.Elements(wall), "Tiles × 1", "Nails × 5")
	// An update that comes late changes nothing.
	writes := h.written(func() {
		h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(roof)})
		h.Wait()
	})
	if writes != 0 {
		t.Errorf("%d writes after the deal was gone", writes)
	}
}

func TestDealManyRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	var rows []demo.Row
	for i := range 120 {
		rows = append(rows, row(fmt.Sprintf("Part %03d", i), "1.10", fmt.Sprint(i+1)))
	}
	before := h.Counters()
	deal := h.AddDeal("Many", rows...)
	got := h.Elements(deal)
	if len(got) != 120 {
		t.Fatalf("%d elements, want 120", len(got))
	}
	cost := h.Counters().Requests - before.Requests
	t.Logf("a deal with 120 rows costs %d requests", cost)
	if cost > 10 {
		t.Errorf("%d requests for 120 rows, want at most 10", cost)
	}
	rows[7].Quantity = "999"
	if writes := h.written(func() { h.SetRows(deal, rows...) }); writes != 1 {
		t.Errorf("%d writes for one changed row of 120, want 1", writes)
	}
}

func TestSameEventTwice(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	writes := h.written(func() {
		for range 2 {
			h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
			h.Wait()
		}
	})
	if writes != 0 {
		t.Errorf("%d writes for events of an unchanged deal, want none", writes)
	}
}

// TestCostOfManyDeals changes twenty deals at the same moment. The PHP handlers
// that this replaces send three requests for each.
func TestCostOfManyDeals(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	const deals = 20
	ids := make([]int, deals)
	for i := range ids {
		id, err := h.People.AddDeal(h.Context(), fmt.Sprintf("Deal %d", i), row("Tiles", "10", "1"), row("Nails", "1", "5"), row("Work", "50", "2"))
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	h.Wait()
	before := h.Counters()
	h.AtOnce(func() {
		for _, id := range ids {
			if err := h.People.SetRows(h.Context(), "D", id, []demo.Row{row("Tiles", "10", "1"), row("Nails", "1", "6"), row("Work", "50", "2")}); err != nil {
				t.Fatal(err)
			}
		}
	})
	h.Wait()
	after := h.Counters()
	cost, writes := after.Requests-before.Requests, after.Writes-before.Writes
	t.Logf("20 changed deals: %d requests with %d commands, %d of them writes (PHP: 60 requests)", cost, after.Commands-before.Commands, writes)
	if cost >= 60 || writes != deals {
		t.Errorf("%d requests and %d writes, want fewer than 60 and exactly %d", cost, writes, deals)
	}
	before = h.Counters()
	for _, id := range ids {
		h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(id)})
	}
	h.Wait()
	after = h.Counters()
	t.Logf("20 unchanged deals: %d requests, %d writes", after.Requests-before.Requests, after.Writes-before.Writes)
	if after.Writes != before.Writes {
		t.Errorf("%d writes for unchanged deals, want none", after.Writes-before.Writes)
	}
}

// event posts an event as the portal does, with the right token.
func (h *harness) event(code string, fields map[string]string) {
	h.T.Helper()
	if status := h.Post(h.HookURL, formType, h.form(code, fields)); status != http.StatusOK {
		h.T.Fatalf("event %s: status %d", code, status)
	}
}

func (h *harness) form(code string, fields map[string]string) string {
	body := "event=" + code + "&auth[application_token]=" + h.Options.Emulator.ApplicationToken
	for k, v := range fields {
		body += "&data[FIELDS][" + k + "]=" + v
	}
	return body
}
