//go:build unix

package cli

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/num"
)

// TestDemoJSON runs the demo as the makefile does.
func TestDemoJSON(t *testing.T) {
	t.Parallel()
	demo := startProcess(t, nil, "demo", "--once", "--format", "json")
	data, err := io.ReadAll(demo.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if code := demo.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, demo.log, data)
	}
	var r struct {
		Events, Runs, Failed, Requests int
		Invoices                       []struct {
			ID          int
			Total       json.Number
			HelperTotal json.Number `json:"helper_total"`
			Helpers     int
		}
		Deals []struct{ ID, Rows, Elements, Shipped int }
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%v in:\n%s", err, data)
	}
	if r.Events == 0 || r.Runs == 0 || r.Failed != 0 || r.Requests == 0 || len(r.Invoices) < 3 || len(r.Deals) < 3 {
		t.Errorf("%+v", r)
	}
	rows, shipped := 0, 0
	for _, d := range r.Deals {
		rows, shipped = rows+d.Elements, shipped+d.Shipped
		if d.Rows != d.Elements {
			t.Errorf("deal %d: %d rows, %d elements", d.ID, d.Rows, d.Elements)
		}
	}
	if rows == 0 || shipped != 1 {
		t.Errorf("%d elements, %d shipped; want some and 1", rows, shipped)
	}
	for _, in := range r.Invoices {
		if in.Total != in.HelperTotal || in.Helpers != 1 || in.Total == "0" {
			t.Errorf("invoice %+v", in)
		}
	}
}

// TestDemoText: what people see, with an end of its own since this is no
// terminal.
func TestDemoText(t *testing.T) {
	t.Parallel()
	demo := startProcess(t, nil, "demo")
	data, err := io.ReadAll(demo.stdout)
	if code := demo.exit(); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d\n%s", err, code, data)
	}
	for _, want := range []string{"What came in:", "What ran:", "What the portal holds", "invoice-total", "deal-shipments", "(deleted)"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in:\n%s", want, data)
		}
	}
	if strings.Contains(string(data), "DIFFERS") || demo.log.size() > 0 {
		t.Errorf("it went wrong:\n%s\n%s", data, demo.log)
	}
	t.Logf("\n%s", data)
}

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
