package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/ruletest"
)

// exportAll exports every run that can be, with names and without, and lets the
// tests pass that come of it. It returns how many runs there were of each rule.
func exportAll(t *testing.T, c *cli, names []string) map[string]int {
	t.Helper()
	dir := filepath.Dir(c.config)
	var files []string
	exported := map[string]int{}
	for _, r := range listJSON(c, "--limit", "1000") {
		id := fmt.Sprint(r.ID)
		if r.State == "succeeded" && r.Writes == 0 {
			if _, talk := c.run(exitFailure, "runs", "export", id); !strings.Contains(talk, "its history has no reads") {
				t.Errorf("export of a run that wrote nothing: %s", talk)
			}
			continue
		}
		exported[r.Rule]++
		for _, flags := range [][]string{nil, {"--keep-names"}} {
			file := filepath.Join(dir, fmt.Sprintf("run%s_%d_test.yaml", id, len(flags)))
			_, talk := c.run(exitFine, append([]string{"runs", "export", "--out", file, id}, flags...)...)
			if strings.Contains(talk, "does not pass") || strings.Contains(talk, "the test fails") || strings.Contains(talk, "something else") {
				t.Errorf("run %s (%s for %s): %s", id, r.Rule, r.Entity, talk)
			}
			text := testkit.ReadFile(t, file)
			for _, name := range names {
				if flags == nil && strings.Contains(text, name) {
					t.Errorf("the test of run %s holds the name %q:\n%s", id, name, text)
				}
			}
			files = append(files, file)
		}
	}
	report, err := ruletest.Run(t.Context(), files, nil, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() {
		var b strings.Builder
		_ = ruletest.WriteText(&b, report, ruletest.TextOptions{})
		for _, r := range report.Results {
			if !r.Passed() {
				b.WriteString(testkit.ReadFile(t, r.File))
			}
		}
		t.Errorf("an exported test fails:\n%s", b.String())
	}
	return exported
}

// TestExportedTestsPass exports runs of the shipped rule sets as tests, which pass.
func TestExportedTestsPass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	names := []string{"Roof of Smith", "Плитка", "Nägel", "Müller", "Olga", "+49 170", "Invoice for Jones", "Rechnung"}

	deal := h.AddDeal("Roof of Smith", row("Плитка керамическая", "33.335", "3"), row("Nägel", "0.07", "1000"))
	h.SetRows(deal, row("Плитка керамическая", "33.335", "4"), row("Плитка керамическая", "30", "1"))
	for name, e := range h.Elements(deal) {
		params := h.ElementParams(apptest.Text(e, "CODE"), name, map[string]any{
			"DEAL": deal, "PRODUCT_ID": h.Property(e, "PRODUCT_ID"), "COMMENT": "for Olga: Roof of Smith, +49 170 1234567", "SHIPPED": h.People.Shipped,
		})
		params["ELEMENT_ID"] = apptest.Text(e, "ID")
		h.Rest("lists.element.update", params, nil)
	}
	h.AddElement("old-1", "Dachrinne by Müller", map[string]any{"DEAL": deal, "PRODUCT_ID": 7})
	h.SetRows(deal, row("Плитка керамическая", "33.335", "5"))
	many := make([]demo.Row, 7)
	for i := range many {
		many[i] = row(fmt.Sprintf("Nägel %d", i), "1", "1")
	}
	big := h.AddDeal("Roof of Smith 2", many...)
	h.SetRows(big) // the brake holds: seven of seven would go
	invoice, err := h.People.AddInvoice(h.Context(), "Invoice for Jones", row("Rechnung", "33.33", "3"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	if err := h.People.SetRows(h.Context(), "SI", invoice, []demo.Row{row("Rechnung", "10", "1")}); err != nil {
		t.Fatal(err)
	}
	h.Rest("crm.item.update", map[string]any{"entityTypeId": 31, "id": invoice, "fields": map[string]any{"title": "Invoice for Jones!"}}, nil)
	h.Wait()
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.update", Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	h.SetRows(deal, row("Плитка керамическая", "33.335", "6"))
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.Rest("crm.deal.delete", map[string]any{"id": deal}, nil)
	h.Wait()

	exported := exportAll(t, c, names)
	if exported["deal-shipments"] < 6 || exported["invoice-total"] < 2 {
		t.Errorf("only %v runs were exported: this shows too little", exported)
	}
}

// TestExportOfCalls exports runs of a rule with choices, conditions, a method
// that the emulator does not have, and one that refuses.
func TestExportOfCalls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rule := `version: 1
rules:
  stage-note:
    on: ONCRMDEALUPDATE
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - when: =deal.stageId == "WON"
        upsert_element:
          list: 47
          key: =event.id
          fields: {NAME: "{{ deal.title }}", DEAL: =event.id, SHIPPED: "Yes", COMMENT: =event.time}
      - id: legacy
        call: {method: crm.deal.get, params: {id: =event.id}}
      - when: =legacy.TITLE != ""
        update_item: {owner: deal, id: =event.id, fields: {comments: "About {{ legacy.TITLE }}"}}
      - once: =deal.stageId
        call:
          method: crm.deal.userfield.add
          params: {fields: {FIELD_NAME: NOTE, LABEL: "{{ deal.title }}"}}
        on_error: skip
`
	h := newHarness(t, apptest.Options{Dir: dir, Rules: fstest.MapFS{"note.yaml": {Data: []byte(rule)}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	if err := os.WriteFile(filepath.Join(dir, "rules", "note.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	deal := h.AddDeal("Roof of Smith")
	h.Touch(deal, "Roof of Smith & Jones")
	h.Rest("crm.item.update", map[string]any{"entityTypeId": 2, "id": deal, "fields": map[string]any{"stageId": "WON"}}, nil)
	h.Wait()
	if n := exportAll(t, c, []string{"Smith"})["stage-note"]; n < 1 {
		t.Errorf("%d runs were exported", n)
	}
}

func TestExportWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	h.AddDeal("Roof", row("Tiles", "1", "1"))
	id := firstRun(c, "--rule", "deal-shipments")
	c.run(exitUsage, "runs", "export")
	c.run(exitUsage, "runs", "export", id, "--out", filepath.Join(dir, "deal.yaml"))
	c.run(exitUsage, "runs", "export", id, "--attempt", "7")
	c.run(exitFailure, "runs", "export", "9999")
	taken := filepath.Join(dir, "taken_test.yaml")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(exitFailure, "runs", "export", id, "--out", taken)
	if testkit.ReadFile(t, taken) != "mine" {
		t.Error("export overwrites a file")
	}
	// The rule has changed: the test has the old result, and export reports that it fails.
	shipped := filepath.Join(dir, "rules", "deal-shipments.yaml")
	text := strings.ReplaceAll(testkit.ReadFile(t, shipped), "round(row.price * row.quantity, 2)", "round(row.price * row.quantity * 2, 2)")
	if err := os.WriteFile(shipped, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, talk := c.run(exitFine, "runs", "export", id)
	if !strings.Contains(talk, "does not pass with the current rule") || !strings.Contains(out, "SUM: 1") {
		t.Errorf("export with another rule: %s%s", talk, out)
	}
	if err := os.Remove(shipped); err != nil {
		t.Fatal(err)
	}
	if _, talk := c.run(exitFailure, "runs", "export", id); !strings.Contains(talk, "no longer exists") {
		t.Errorf("export without the rule: %s", talk)
	}
}
