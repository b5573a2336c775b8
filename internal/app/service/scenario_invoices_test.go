package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
)

// These scenarios run the shipped rule set invoice-total over real HTTP and
// SQLite on disk.

func (h *harness) wantTotal(invoice int, want string) {
	h.T.Helper()
	got, err := h.People.Helpers(h.Context(), h.IDs.TotalsType, invoice)
	if err != nil {
		h.T.Fatal(err)
	}
	if len(got) != 1 || got[0].String() != want {
		h.T.Errorf("helpers of invoice %d hold %v, want one with %s", invoice, got, want)
	}
}

func TestInvoiceTotalIsExact(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	tests := []struct {
		want string
		rows []demo.Row
	}{
		{"99.99", []demo.Row{row("Thirds", "33.33", "3")}},
		{"0.3", []demo.Row{row("a", "0.1", "1"), row("b", "0.2", "1")}},
		{"0", nil},
		{"4503599627.01", []demo.Row{row("large", "4503599626.99", "1"), row("small", "0.01", "2")}},
		{"10.01", []demo.Row{row("fraction", "2.002", "5")}},
		{"1000000", func() []demo.Row {
			var many []demo.Row
			for i := range 100 {
				many = append(many, row(fmt.Sprintf("row %d", i), "0.1", "100000"))
			}
			return many
		}()},
	}
	for _, tt := range tests {
		invoice, err := h.People.AddInvoice(h.Context(), "Invoice", tt.rows...)
		if err != nil {
			t.Fatal(err)
		}
		h.Wait()
		h.wantTotal(invoice, tt.want)
	}
}

// TestInvoicePricesAreFinal has rows with a discount and a tax: both are in the
// price already.
func TestInvoicePricesAreFinal(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	var added struct{ Item struct{ ID int } }
	h.Rest("crm.item.add", map[string]any{"entityTypeId": demo.SmartInvoice, "fields": map[string]any{"title": "Taxed"}}, &added)
	h.Rest("crm.item.productrow.set", map[string]any{"ownerType": "SI", "ownerId": added.Item.ID, "productRows": []any{
		map[string]any{"productName": "a", "price": 80000, "quantity": 2, "discountTypeId": 2, "discountRate": 20, "taxRate": 20, "taxIncluded": "Y"},
		map[string]any{"productName": "b", "price": 22175.33, "quantity": 1, "taxRate": 12, "taxIncluded": "N"},
	}}, nil)
	h.Wait()
	h.wantTotal(added.Item.ID, "182175.33")
}

// TestInvoiceHelperIsMadeOnce lets events of one invoice race.
func TestInvoiceHelperIsMadeOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	invoice, err := h.People.AddInvoice(h.Context(), "Race", row("a", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		code := []string{"ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMUPDATE"}[i%2]
		wg.Go(func() {
			status := h.Post(h.HookURL, formType, h.form(code, map[string]string{"ID": fmt.Sprint(invoice), "ENTITY_TYPE_ID": "31"}))
			if status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	h.Wait()
	h.wantTotal(invoice, "10")

	if err := h.People.SetRows(h.Context(), "SI", invoice, []demo.Row{row("a", "10", "1"), row("b", "0.5", "3")}); err != nil {
		t.Fatal(err)
	}
	h.Wait()
	h.wantTotal(invoice, "11.5")
	writes := h.written(func() {
		if err := h.People.Rename(h.Context(), invoice, "Another title"); err != nil {
			t.Fatal(err)
		}
		h.Wait()
	})
	if writes != 0 {
		t.Errorf("%d writes for a change that no total depends on, want none", writes)
	}
}

// TestInvoiceGone has an update arrive after the invoice was deleted: no helper
// may be made for it.
func TestInvoiceGone(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	writes := h.written(func() {
		h.event("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": "987654", "ENTITY_TYPE_ID": "31"})
		h.Wait()
	})
	if writes != 0 {
		t.Errorf("%d writes for an invoice that does not exist, want none", writes)
	}
}

// TestOtherEvents posts what is not for the rules, and what is no event.
func TestOtherEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	invoice, err := h.People.AddInvoice(h.Context(), "One", row("a", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	var helper struct{ Items []struct{ ID int } }
	h.Rest("crm.item.list", map[string]any{"entityTypeId": h.IDs.TotalsType, "filter": map[string]any{"ufCrm5InvoiceId": invoice}}, &helper)
	if len(helper.Items) != 1 {
		t.Fatalf("%d helpers", len(helper.Items))
	}
	right := h.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(invoice), "ENTITY_TYPE_ID": "31"})
	tests := []struct {
		name, contentType, body string
		status                  int
		stored                  int
	}{
		{"the helper itself", formType, h.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(helper.Items[0].ID), "ENTITY_TYPE_ID": fmt.Sprint(h.IDs.TotalsType)}), 200, 1},
		{"another type", formType, h.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": "1", "ENTITY_TYPE_ID": "177"}), 200, 1},
		{"no type", formType, h.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": "1"}), 200, 1},
		{"an id that cannot be read", formType, h.form("ONCRMDEALUPDATE", map[string]string{"ID": "1 OR 1=1"}), 200, 1},
		{"no id", formType, h.form("ONCRMDEALUPDATE", map[string]string{"OTHER": "1"}), 400, 0},
		{"an unknown code", formType, h.form("ONCRMWHATEVER", map[string]string{"ID": "1"}), 200, 1},
		{"wrong token", formType, strings.Replace(right, h.Options.Emulator.ApplicationToken, "guess", 1), 403, 0},
		{"no token", formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1", 403, 0},
		{"token as an array", formType, "event=ONCRMDEALUPDATE&auth[application_token][]=" + h.Options.Emulator.ApplicationToken, 403, 0},
		{"no event", formType, "data[FIELDS][ID]=1&auth[application_token]=" + h.Options.Emulator.ApplicationToken, 400, 0},
		{"JSON", "application/json", `{"event":"ONCRMDEALUPDATE"}`, 400, 0},
		{"empty", formType, "", 400, 0},
		{"too large", formType, right + "&x=" + strings.Repeat("y", 2<<20), 413, 0},
	}
	for _, tt := range tests {
		before := h.events()
		status := 0
		writes := h.written(func() {
			status = h.Post(h.HookURL, tt.contentType, tt.body)
			h.Wait()
		})
		if status != tt.status || writes != 0 || h.events()-before != tt.stored {
			t.Errorf("%s: status %d, %d writes, %d events stored; want %d, 0, %d", tt.name, status, writes, h.events()-before, tt.status, tt.stored)
		}
	}
	if status := h.Post(strings.TrimSuffix(h.HookURL, demo.PortalName)+"nobody", formType, right); status != http.StatusForbidden {
		t.Errorf("an unknown portal answers %d, want 403", status)
	}
	h.wantTotal(invoice, "10")
}

func (h *harness) events() int {
	h.T.Helper()
	stats, err := journal.Count(h.Context(), h.Service.Queue().Database())
	if err != nil {
		h.T.Fatal(err)
	}
	return int(stats.Events)
}

// TestNothingLostOverRestarts stops and starts the engine under a stream of
// changes.
func TestNothingLostOverRestarts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	var invoices []int
	for i := range 12 {
		invoice, err := h.People.AddInvoice(h.Context(), "Stream", row("a", fmt.Sprintf("%d.11", i), "3"))
		if err != nil {
			t.Fatal(err)
		}
		invoices = append(invoices, invoice)
		if i%4 == 3 {
			// What was delivered is stored; the rest of the run's work is not done.
			if err := h.Portal.WaitIdle(h.Context()); err != nil {
				t.Fatal(err)
			}
			h.Stop()
			h.Start()
		}
	}
	h.Wait()
	for i, invoice := range invoices {
		h.wantTotal(invoice, trimmed(i*3, 33))
	}
}

// trimmed writes whole.cents as numbers are shown.
func trimmed(whole, cents int) string { return fmt.Sprintf("%d.%02d", whole, cents) }
