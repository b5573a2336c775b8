package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/schemas"
)

// TestDrift: each kind of difference is found, nothing is written, and what could not be
// seen is never "no drift".
func TestDrift(t *testing.T) { onEachDatabase(t, testDrift) }

func testDrift(t *testing.T, database string) {
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Database: database})
	c := newCLI(h, dir)
	roof := h.AddDeal("Roof", row("Tiles", "33.33", "3"), row("Nails", "1", "100"))
	wall := h.AddDeal("Wall", row("Bricks", "2", "10"))
	h.Wait()
	h.Stop()

	out, _ := c.run(exitFine, "drift", "--confirm", "0")
	if !strings.Contains(out, "demo deal-shipments: 0 of 2 entities differ\n") || !strings.Contains(out, "demo invoice-total: 0 of ") {
		t.Errorf("without a difference: %s", out)
	}

	// A person changes one element, deletes another, and adds rows to a deal while no
	// engine receives events.
	tiles, nails := h.Elements(roof)["Tiles × 3"], h.Elements(roof)["Nails × 100"]
	h.Rest("lists.element.delete", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList, "ELEMENT_ID": nails.ID()}, nil)
	params := h.ElementParams(apptest.Text(tiles, "CODE"), "Roof tiles", map[string]any{"DEAL": roof, "PRODUCT_ID": 0, "QUANTITY": 3, "SUM": "1.00"})
	params["ELEMENT_ID"] = tiles.ID()
	h.Rest("lists.element.update", params, nil)
	h.SetRowsQuietly(wall)
	h.Portal.Reset()

	out, _ = c.run(exitFindings, "drift", "--confirm", "0", "--rule", "deal-shipments")
	for _, want := range []string{
		"deal-shipments for deal:1 of portal demo: 1 to add, 1 to change",
		"deal-shipments for deal:2 of portal demo: 1 to delete",
		"demo deal-shipments: 2 of 2 entities differ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
	if strings.Contains(out, "invoice-total") {
		t.Errorf("--rule is ignored: %s", out)
	}
	asJSON, talk := c.run(exitFindings, "drift", "--confirm", "1ms", "--format", "json")
	var found report.Drift
	if err := json.Unmarshal([]byte(asJSON), &found); err != nil || len(found.Rules) != 2 || !found.Differs() || !found.Complete() {
		t.Errorf("%v: %s", err, asJSON)
	}
	if !strings.Contains(talk, "2 differences, looking again in 1ms") {
		t.Errorf("what differs is not looked at again: %s", talk)
	}
	c.run(exitFindings, "sync", "--rule", "deal-shipments", "--dry-run", "--exit-code")
	if n := len(h.Portal.History()); n != 0 {
		t.Errorf("drift has changed %d records", n)
	}
	// The portal has recorded what it was asked, also inside batches.
	calls := h.Portal.Calls()
	if len(calls) < 10 {
		t.Errorf("the portal has recorded %d calls", len(calls))
	}
	for _, call := range calls {
		if m, known := schemas.LookupMethod(call.Method); !known || m.Effect == schemas.Write {
			t.Errorf("drift has called %s", call.Method)
		}
	}

	// Sync repairs it.
	c.run(exitFine, "sync", "--rule", "deal-shipments")
	c.run(exitFine, "drift", "--confirm", "0")

	// A step that acts in every run keeps no rule from being compared.
	notifying := filepath.Join(dir, "rules", "tell.yaml")
	testkit.WriteFile(t, notifying, `version: 1
rules:
  tell:
    on: [ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - notify: {to: 1, message: "{{ deal.title }}"}
      - update_item: {owner: deal, id: =event.id, fields: {comments: checked}}
`)
	out, _ = c.run(exitFindings, "drift", "--confirm", "0", "--rule", "tell")
	if !strings.Contains(out, "demo tell: 2 of 2 entities differ\n") || strings.Contains(out, "notify") {
		t.Errorf("a rule that notifies: %s", out)
	}
	if err := os.Remove(notifying); err != nil {
		t.Fatal(err)
	}

	// What was not seen is not "no drift".
	if err := h.Portal.SetFaults(emulator.Fault{Method: "crm.item.list", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	out, _ = c.run(exitFailure, "drift", "--confirm", "0")
	if !strings.Contains(out, "demo deal-shipments: not complete: ") {
		t.Errorf("%s", out)
	}
	c.run(exitUsage, "drift", "--rule", "deal-shipment")
	c.run(exitUsage, "sync", "--rule", "deal-shipments", "--exit-code")
}

// TestOfRecords: what happens elsewhere cannot be compared with what there is, and an update that
// writes the same values changes nothing.
func TestOfRecords(t *testing.T) {
	all := []dryrun.Change{
		{Kind: dryrun.ChangeCall},
		{Kind: dryrun.ChangeUpdate},
		{Kind: dryrun.ChangeOutside},
		{Kind: dryrun.ChangeUpdate, Fields: []dryrun.FieldChange{{Name: "title", After: "Roof"}}},
		{Kind: dryrun.ChangeDelete},
	}
	if got := report.OfRecords(all); len(got) != 2 || got[0].Kind != dryrun.ChangeUpdate || got[1].Kind != dryrun.ChangeDelete {
		t.Errorf("%v", got)
	}
}
