package service_test

import (
	"fmt"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestCostOfTheShippedRules holds the requests and commands of a run of each shipped rule
// that has nothing to write. Words that these rules do not use must cost them nothing;
// the statements of the database are counted by TestStatementsOfARun.
func TestCostOfTheShippedRules(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "33.33", "3"), row("Nails", "0.07", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	invoice, err := h.People.AddInvoice(h.Context(), "Thirds", row("A third", "33.33", "3"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	for _, tt := range []struct {
		name, code string
		fields     map[string]string
	}{
		{"deal-shipments", "ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)}},
		{"invoice-total", "ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(invoice), "ENTITY_TYPE_ID": "31"}},
	} {
		before := h.Counters()
		h.event(tt.code, tt.fields)
		h.Wait()
		after := h.Counters()
		// Two reads; a busy machine may send them in two requests instead of one.
		if r, c := after.Requests-before.Requests, after.Commands-before.Commands; r > 2 || c != 2 {
			t.Errorf("%s: %d requests with %d commands, want at most 2 with 2", tt.name, r, c)
		}
	}
}
