//go:build unix

package cli

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestDemoJSON runs the demo as the makefile does.
func TestDemoJSON(t *testing.T) {
	t.Parallel()
	demo := testkit.StartProcess(t, nil, "demo", "--once", "--format", "json")
	data, err := io.ReadAll(demo.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if code := demo.Exit(); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, demo.Log, data)
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

// TestDemoText checks the text of a demo. It ends without Ctrl-C, because the output
// is not a terminal.
func TestDemoText(t *testing.T) {
	t.Parallel()
	demo := testkit.StartProcess(t, nil, "demo")
	data, err := io.ReadAll(demo.Stdout)
	if code := demo.Exit(); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d\n%s", err, code, data)
	}
	for _, want := range []string{"Events:", "Runs:", "Data of the portal", "invoice-total", "deal-shipments", "(deleted)"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in:\n%s", want, data)
		}
	}
	if strings.Contains(string(data), "DIFFERS") || demo.Log.Size() > 0 {
		t.Errorf("it went wrong:\n%s\n%s", data, demo.Log)
	}
	t.Logf("\n%s", data)
}
