package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/report"
)

// TestPlanThenRun: plan shows what run does, and nothing is written before.
func TestPlanThenRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof", row("Плитка", "33.33", "3"), row("Nails", "0.07", "1000"))
	h.Stop()
	h.SetRowsQuietly(deal, row("Плитка", "33.33", "4"), row("Delivery", "5", "1"))

	before := len(h.Portal.History())
	entity := fmt.Sprintf("deal:%d", deal)
	plan, _ := c.run(exitFine, "plan", "--entity", entity)
	golden(t, "plan.txt", steady(plan))
	asJSON, _ := c.run(exitFine, "plan", "--entity", entity, "--format", "json", "--rule", "deal-shipments")
	var out struct{ Plans []report.Plan }
	if err := json.Unmarshal([]byte(asJSON), &out); err != nil || len(out.Plans) != 1 || len(out.Plans[0].Changes) != 3 {
		t.Errorf("%v: %s", err, asJSON)
	}
	if after := len(h.Portal.History()); after != before {
		t.Fatalf("plan changed the portal: %v", h.Portal.History()[before:])
	}

	// Without a serve, run does the work.
	shown, talk := c.run(exitFine, "run", "--entity", entity)
	if !strings.Contains(shown, "1 added, 1 updated (0 of them adopted), 1 deleted, 0 kept") || strings.Contains(talk, "serve is running and does the work") {
		t.Errorf("run: %s%s", shown, talk)
	}
	if out, _ := c.run(exitFine, "audit", "--what", "ran", "--format", "json"); !strings.Contains(out, `"target": "`+entity+`"`) {
		t.Errorf("audit: %s", out)
	}
	if plan, _ = c.run(exitFine, "plan", "--entity", entity); !strings.Contains(plan, "nothing to change") {
		t.Errorf("a plan after the run: %s", plan)
	}

	// While serve is running, serve does the work.
	h.Start()
	h.SetRows(deal, row("Плитка", "33.33", "5"))
	shown, talk = c.run(exitFine, "run", "--entity", entity, "--rule", "deal-shipments")
	if !strings.Contains(shown, "succeeded  deal-shipments for "+entity) || !strings.Contains(talk, "serve is running and does the work") {
		t.Errorf("run beside serve: %s%s", shown, talk)
	}
	h.Rest("crm.deal.delete", map[string]any{"id": deal}, nil)
	h.Wait()
	if plan, _ = c.run(exitFine, "plan", "--entity", entity, "--deleted"); !strings.Contains(plan, "it does not exist: the deleted steps run") {
		t.Errorf("the plan for a deleted deal: %s", plan)
	}
}

// TestPlanOfFile tries a rule that no configuration names.
func TestPlanOfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof", row("Tiles", "10", "3"))
	file := filepath.Join(dir, "note.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`version: 1
rules:
  note:
    on: ONCRMDEALUPDATE
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - when: =deal.stageId == "LOST"
        update_item: {owner: deal, id: =event.id, fields: {comments: lost}}
      - update_item: {owner: deal, id: =event.id, fields: {comments: "{{ len(rows) }} rows"}}
      - once: =deal.stageId
        call:
          method: crm.timeline.comment.add
          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =deal.id, COMMENT: "Now {{ deal.stageId }}"}}
`)
	plan, _ := c.run(exitFine, "plan", file, "--entity", fmt.Sprintf("deal:%d", deal))
	golden(t, "plan_file.txt", steady(plan))

	write(strings.ReplaceAll(`version: 1
rules:
  note:
    on: ONCRMDEALUPDATE
    steps:
      - update_item: {owner: deal, id: =event.id, fields: {ufCrmNowhere: 1}}
`, "\t", ""))
	plan, _ = c.run(exitFindings, "plan", file, "--entity", fmt.Sprintf("deal:%d", deal))
	if !strings.Contains(plan, "nothing to change") || !strings.Contains(plan, "would fail") || !strings.Contains(plan, `no field "ufCrmNowhere"`) {
		t.Errorf("a plan that fails: %s", plan)
	}
	write("version: 1\nrules:\n  note:\n    on: ONCRMDEALUPDTE\n    steps: []\n")
	if _, talk := c.run(exitFindings, "plan", file, "--entity", "deal:1"); !strings.Contains(talk, "note.yaml:4:9: ") {
		t.Errorf("a file with mistakes: %s", talk)
	}
	// A plan shows which runs would follow, and starts none.
	write(`version: 1
rules:
  total:
    about: company
    steps: [{log: {message: "{{ event.id }}"}}]
  child:
    on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]
    steps: [{start: {rule: total, id: 5}}]
`)
	if got, _ := c.run(exitFine, "plan", "--entity", fmt.Sprintf("deal:%d", deal), file); !strings.Contains(got, "starts total for company:5") {
		t.Errorf("the plan of a rule that starts another one: %s", got)
	}
}

// TestPlanFollows: plan --follow plans the runs that a rule starts, each once, also when
// they start each other, and not without end.
func TestPlanFollows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	entity := fmt.Sprintf("deal:%d", h.AddDeal("Roof"))
	var company int64
	h.Rest("crm.company.add", map[string]any{"fields": map[string]any{"TITLE": "Acme"}}, &company)
	file := filepath.Join(dir, "note.yaml")
	text := fmt.Sprintf(`version: 1
rules:
  total:
    about: company
    steps:
      - id: company
        fetch_item: {owner: company, id: =event.id}
      - update_item: {owner: company, id: =event.id, fields: {comments: "deals of {{ company.title }}"}}
      - entered: =company.title == "Acme"
        start: {rule: all}
  all:
    about: portal
    steps: [{start: {rule: total, id: %[1]d}}]
  child:
    on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]
    steps: [{start: {rule: total, id: IDS}}]
`, company)
	plan := func(ids string, flags ...string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Replace(text, "IDS", ids, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := c.run(exitFine, append([]string{"plan", "--entity", entity, "--follow", file}, flags...)...)
		return out
	}
	before := len(h.Portal.History())
	want := fmt.Sprintf(`child for %[1]s of portal demo: nothing to change
  > starts total for company:%[2]d

total for company:%[2]d of portal demo, started by child for %[1]s: 1 to change
  ~ item 4:%[2]d  Acme
      comments  nothing -> deals of Acme
  > starts all for portal:all

all for portal:all of portal demo, started by total for company:%[2]d: nothing to change
  > starts total for company:%[2]d
`, entity, company)
	if got := plan(fmt.Sprint("=", company)); got != want {
		t.Errorf("plan --follow:\n%s\nwant:\n%s", got, want)
	}
	var out struct{ Plans []report.Plan }
	if err := json.Unmarshal([]byte(plan("'=map(1..60, # + 1000)'", "--format", "json")), &out); err != nil || len(out.Plans) != 51 {
		t.Fatalf("%d plans, %v", len(out.Plans), err)
	}
	if first, last := out.Plans[0], out.Plans[50]; first.NotPlanned != 10 || first.StartedBy != "" || last.StartedBy != "child for "+entity || last.Outcome != history.Gone {
		t.Errorf("the first plan is %+v, the last %+v", first, last)
	}
	if got := plan("'=map(1..60, # + 1000)'"); !strings.Contains(got, "10 of these runs are not planned: --follow plans at most 50 runs") {
		t.Errorf("60 starts: %s", got)
	}
	if after := h.Portal.History(); len(after) != before {
		t.Errorf("plan changed the portal: %v", after[before:])
	}
}

func TestPlanWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	for _, tt := range []struct {
		code int
		args []string
		says string
	}{
		{exitUsage, []string{"plan"}, "which entity? --entity deal:759"},
		{exitUsage, []string{"plan", "--entity", "deal"}, "want a kind and an id"},
		{exitUsage, []string{"run", "--entity", "deal:-1"}, `"-1" is not the id of an item`},
		{exitUsage, []string{"run", "--entity", "item:31:seven"}, `"seven" is not the id of an item`},
		{exitFine, []string{"plan", "--entity", " Deal:0099 "}, ""},
		{exitUsage, []string{"plan", "--entity", "deal:1", "--portal", "dmeo"}, "did you mean demo?"},
		{exitUsage, []string{"plan", "--entity", "deal:1", "--rule", "deal-shipment"}, "did you mean deal-shipments?"},
		{exitUsage, []string{"plan", "--entity", "lead:1"}, "no rule of portal demo has an event of lead:1"},
		{exitUsage, []string{"plan", "--entity", "lead:1", "--rule", "deal-shipments"}, "rule deal-shipments has no event about lead:1, only ONCRMDEALADD"},
		{exitUsage, []string{"plan", "--entity", "deal:1", "--format", "yaml"}, "want text or json"},
		{exitFailure, []string{"plan", "--entity", "deal:1", filepath.Join(dir, "nowhere.yaml")}, "nowhere.yaml"},
		{exitUsage, []string{"run", "--entity", "deal:1", "rules"}, `unexpected argument "rules"`},
		{exitUsage, []string{"run"}, "which entity?"},
	} {
		if _, talk := c.run(tt.code, tt.args...); !strings.Contains(talk, tt.says) {
			t.Errorf("%v says %q, want %q", tt.args, talk, tt.says)
		}
	}
	// Ctrl-C is no failure of anything.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, talk := c.runWith(gone, exitFailure, "plan", "--entity", "smart_invoice:99"); talk != "b24rules: interrupted\n" {
		t.Errorf("interrupted, plan says %q", talk)
	}
	// A plan needs no database and leaves none.
	h.Stop()
	if err := os.Remove(filepath.Join(dir, "b24rules.db")); err != nil {
		t.Fatal(err)
	}
	plan, _ := c.run(exitFine, "plan", "--entity", "smart_invoice:99")
	if !strings.Contains(plan, "invoice-total for item:31:99 of portal demo: nothing to change (it does not exist") {
		t.Errorf("the plan of an invoice that is not there: %s", plan)
	}
	if _, err := os.Stat(filepath.Join(dir, "b24rules.db")); err == nil {
		t.Error("plan has made a database")
	}
	// A run does: what it remembers and what it could not do must outlive it.
	c.run(exitFine, "run", "--entity", "smart_invoice:99")
	if runs, _ := c.run(exitFine, "runs", "list"); !strings.Contains(runs, "item:31:99") {
		t.Errorf("the run without a serve has left no trace: %s", runs)
	}
}
