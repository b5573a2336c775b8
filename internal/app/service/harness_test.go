package service_test

import (
	"net/http"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// harness is the program with an emulated portal, with what only tests of this
// package do with it.
type harness struct{ *apptest.Harness }

func newHarness(t testing.TB, o apptest.Options) *harness {
	t.Helper()
	return &harness{apptest.New(t, o)}
}

func row(name, price, quantity string) demo.Row {
	return demo.Row{Name: name, Price: price, Quantity: quantity}
}

const formType = "application/x-www-form-urlencoded"

func newApplicationHarness(t testing.TB, kind string, e emulator.Config) *harness {
	t.Helper()
	return &harness{apptest.NewApplication(t, kind, e)}
}

// TestHarness shows that the harness works, and that the two included rule sets run
// from an event to changed data.
func TestHarness(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	ctx := h.Context()
	var deal, invoice int
	h.AtOnce(func() {
		var err error
		if deal, err = h.People.AddDeal(ctx, "Roof", row("Tiles", "33.33", "3"), row("Nails", "0.07", "1000")); err != nil {
			t.Fatal(err)
		}
		if invoice, err = h.People.AddInvoice(ctx, "Thirds", row("A third", "33.33", "3")); err != nil {
			t.Fatal(err)
		}
	})
	h.Wait()
	elements, err := h.People.Elements(ctx, deal)
	if err != nil || len(elements) != 2 {
		t.Errorf("%d elements, %v; want 2", len(elements), err)
	}
	helpers, err := h.People.Helpers(ctx, h.IDs.TotalsType, invoice)
	if err != nil || len(helpers) != 1 || helpers[0].String() != "99.99" {
		t.Errorf("helpers %v, %v; want one with 99.99", helpers, err)
	}
	before := h.Counters()
	if status := h.Post(h.HookURL, "application/x-www-form-urlencoded", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]=wrong"); status != http.StatusForbidden {
		t.Errorf("a wrong token gives status %d, want 403", status)
	}
	h.Stop()
	h.Start()
	h.Wait()
	if after := h.Counters(); after.Writes != 0 || before.Writes != 3 {
		t.Errorf("%d writes before the restart and %d after it, want 3 (two elements, one helper) and none", before.Writes, after.Writes)
	}
}
