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
			text := readFile(t, file)
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
				b.WriteString(readFile(t, r.File))
			}
		}
		t.Errorf("an exported test fails:\n%s", b.String())
	}
	return exported
}

// TestExportedTestsPass: what runs of the shipped rule sets did on a portal is
// told by tests that pass.
func TestExportedTestsPass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, harnessOptions{dir: dir})
	c := newCLI(h, dir)
	names := []string{"Roof of Smith", "Плитка", "Nägel", "Müller", "Olga", "+49 170", "Invoice for Jones", "Rechnung"}

	deal := h.addDeal("Roof of Smith", row{"Плитка керамическая", "33.335", "3"}, row{"Nägel", "0.07", "1000"})
	h.setRows(deal, row{"Плитка керамическая", "33.335", "4"}, row{"Плитка керамическая", "30", "1"})
	for name, e := range h.elements(deal) {
		params := h.stage.elementParams(e.text("CODE"), name, map[string]any{
			"DEAL": deal, "PRODUCT_ID": h.property(e, "PRODUCT_ID"), "COMMENT": "for Olga: Roof of Smith, +49 170 1234567", "SHIPPED": h.people.shipped,
		})
		params["ELEMENT_ID"] = e.text("ID")
		h.rest("lists.element.update", params, nil)
	}
	h.addElement("old-1", "Dachrinne by Müller", map[string]any{"DEAL": deal, "PRODUCT_ID": 7})
	h.setRows(deal, row{"Плитка керамическая", "33.335", "5"})
	many := make([]row, 7)
	for i := range many {
		many[i] = row{fmt.Sprintf("Nägel %d", i), "1", "1"}
	}
	big := h.addDeal("Roof of Smith 2", many...)
	h.setRows(big) // the brake holds: seven of seven would go
	invoice, err := h.people.addInvoice(h.context(), "Invoice for Jones", row{"Rechnung", "33.33", "3"})
	if err != nil {
		t.Fatal(err)
	}
	h.wait()
	if err := h.people.setRows(h.context(), "SI", invoice, []row{{"Rechnung", "10", "1"}}); err != nil {
		t.Fatal(err)
	}
	h.rest("crm.item.update", map[string]any{"entityTypeId": 31, "id": invoice, "fields": map[string]any{"title": "Invoice for Jones!"}}, nil)
	h.wait()
	if err := h.portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.update", Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	h.setRows(deal, row{"Плитка керамическая", "33.335", "6"})
	if err := h.portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.rest("crm.deal.delete", map[string]any{"id": deal}, nil)
	h.wait()

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
	h := newHarness(t, harnessOptions{dir: dir, rules: fstest.MapFS{"note.yaml": {Data: []byte(rule)}}, inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	if err := os.WriteFile(filepath.Join(dir, "rules", "note.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	deal := h.addDeal("Roof of Smith")
	h.touch(deal, "Roof of Smith & Jones")
	h.rest("crm.item.update", map[string]any{"entityTypeId": 2, "id": deal, "fields": map[string]any{"stageId": "WON"}}, nil)
	h.wait()
	if n := exportAll(t, c, []string{"Smith"})["stage-note"]; n < 1 {
		t.Errorf("%d runs were exported", n)
	}
}

func TestExportWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, harnessOptions{dir: dir})
	c := newCLI(h, dir)
	h.addDeal("Roof", row{"Tiles", "1", "1"})
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
	if readFile(t, taken) != "mine" {
		t.Error("export overwrites a file")
	}
	// The rule has changed: the test tells what happened, and that it fails now.
	shipped := filepath.Join(dir, "rules", "deal-shipments.yaml")
	text := strings.ReplaceAll(readFile(t, shipped), "round(row.price * row.quantity, 2)", "round(row.price * row.quantity * 2, 2)")
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
	if _, talk := c.run(exitFailure, "runs", "export", id); !strings.Contains(talk, "is not there any more") {
		t.Errorf("export without the rule: %s", talk)
	}
}
