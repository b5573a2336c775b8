package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/num"
)

func TestReportDisagreements(t *testing.T) {
	fine, off := num.MustParse("0.3"), num.MustParse("0.30000000000000004")
	r := &report{
		Failed: 2,
		Invoices: []invoiceState{
			{ID: 1, Total: fine, HelperTotal: &fine, Helpers: 1},
			{ID: 2, Total: fine, HelperTotal: &off, Helpers: 1},
			{ID: 3, Total: fine, HelperTotal: &fine, Helpers: 2},
			{ID: 4, Total: fine},
		},
		Deals: []dealState{{ID: 1, Rows: 3, Elements: 3}, {ID: 2, Rows: 3, Elements: 2}, {ID: 3, Deleted: true, Elements: 1}},
	}
	want := []string{
		"2 runs failed",
		"invoice 2: the total is 0.3, 1 helper with 0.30000000000000004",
		"invoice 3: the total is 0.3, 2 helpers with 0.3",
		"invoice 4: the total is 0.3, 0 helpers with nothing",
		"deal 2 has 3 rows and 2 elements",
		"deal 3 has 0 rows and 1 element",
	}
	if diff := cmp.Diff(want, r.disagreements()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (&report{Invoices: r.Invoices[:1], Deals: r.Deals[:1]}).disagreements(); got != nil {
		t.Errorf("all is well, but %v", got)
	}
}
