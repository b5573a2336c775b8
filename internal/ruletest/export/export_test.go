package export_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/ruletest/export"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

var update = flag.Bool("update", false, "rewrite the golden output of testdata")

// recordRuns plays the test file of an archive and returns its runs as the history
// keeps them.
func recordRuns(t *testing.T, test string) []export.Run {
	t.Helper()
	f, list, err := testfile.Load(test, actions.All, testfile.Sources{})
	if err != nil || f == nil {
		t.Fatalf("%v, %v", err, list.Err())
	}
	p, err := testportal.NewPortal(&f.Content.Portal, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	merged := testfile.MergeInputs(f.Content.Inputs, f.Content.Tests[0].Inputs)
	inputs, problems := testfile.InputsFor(f.Sets[0], merged)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var out []export.Run
	for _, phase := range f.Content.Tests[0].Phases() {
		if err := p.Apply(phase.Change, nil); err != nil {
			t.Fatal(err)
		}
		event := phase.Scenario.Event.EngineEvent()
		for _, route := range f.Sets[0].Route("test", event, inputs) {
			trace, err := run.Run{
				Portal: "test", Client: p.Client, Entity: route.Entity, Event: event, Count: 1, Added: route.Added, Deleted: route.Deleted,
				LastAttempt: true, Attempt: 1, Inputs: inputs, Memory: &run.LocalMemory{}, InOrder: true,
			}.Do(t.Context(), route.Rule)
			record, readErr := history.ReadRecord(trace.Record(0, nil))
			if readErr != nil {
				t.Fatal(readErr)
			}
			r := export.Run{
				Actions: actions.All, Name: "exported", Comment: "A comment.", RuleFile: f.Sets[0].File, Rules: filepath.Base(f.Sets[0].File),
				Record: record, Entity: route.Entity, Code: event.Code, Data: event.Data, Time: event.Time,
			}
			if err != nil {
				r.Parked = err.Error()
			}
			out = append(out, r)
		}
	}
	return out
}

// nowInAnswers are times in answers of the portal, which differ in every run of the
// test. Events have the time of testfile.
var nowInAnswers = regexp.MustCompile(`"20[0-9-]+T[0-9:+]+"`)

// TestFromRun exports the last run of each archive and compares the test and the
// warnings with the golden output. go test -update rewrites it.
func TestFromRun(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			golden := map[string]*txtar.File{}
			for i, f := range archive.Files {
				if strings.HasSuffix(f.Name, ".out") {
					golden[f.Name] = &archive.Files[i]
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, keep := range map[string]bool{"masked.out": false, "names.out": true} {
				runs := recordRuns(t, filepath.Join(dir, "rule_test.yaml"))
				r := runs[len(runs)-1]
				r.KeepNames = keep
				text, warnings, err := export.FromRun(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				got := nowInAnswers.ReplaceAllString(string(text), `"NOW"`)
				for _, w := range warnings {
					got += "warning: " + strings.TrimSpace(w) + "\n"
				}
				if golden[name] == nil {
					t.Fatalf("%s has no part %s", file, name)
				}
				if *update {
					golden[name].Data = []byte(got)
				} else if diff := cmp.Diff(string(golden[name].Data), got); diff != "" {
					t.Errorf("%s (-want +got)\n%s", name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestIncompleteRecords exports records that have lost a part, or that hold what a
// test cannot express. Each gets a warning instead of a wrong expectation.
func TestIncompleteRecords(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rule.yaml":      "version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - update_item: {owner: deal, id: =event.id, fields: {comments: seen}}\n",
		"rule_test.yaml": "tests:\n  - name: a\n    given: {deals: {7: {title: Roof}}}\n    event: ONCRMDEALUPDATE 7\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	steps := func(commands ...history.CommandRecord) []history.StepRecord {
		return []history.StepRecord{{Action: "call", Commands: commands}}
	}
	call := func(method, params, result string) history.CommandRecord {
		return history.CommandRecord{Method: method, Params: json.RawMessage(params), Result: json.RawMessage(result)}
	}
	refused := call("crm.deal.get", `{"id": 7}`, "")
	refused.Error, refused.Code = "no", "ACCESS_DENIED"
	lost := call("crm.deal.get", `{"id": 7}`, "")
	lost.Error, lost.Code = "connection reset", "NETWORK"
	for _, tt := range []struct {
		name    string
		change  func(r *history.Record)
		warning string
	}{
		{"commands are missing", func(r *history.Record) { r.More = 3 }, "the record has only the first commands, 3 more are missing"},
		{"a command is cut", func(r *history.Record) { r.Steps[0].Commands[0].Cut = true }, "the record was cut, crm.item.get is not complete"},
		{"two answers", func(r *history.Record) {
			r.Steps = append(r.Steps, steps(call("crm.activity.get", `{"id": 1}`, "1"), call("crm.activity.get", `{"id": 2}`, "2"))...)
		}, "crm.activity.get was called several times with different answers"},
		{"refused and accepted", func(r *history.Record) {
			r.Steps = append(r.Steps, steps(refused, call("crm.deal.get", `{"id": 7}`, `{"ID": 7}`))...)
		}, "crm.deal.get was refused in one call and accepted in another"},
		{"lists of another type", func(r *history.Record) {
			r.Steps = append(r.Steps, steps(call("lists.element.get", `{"IBLOCK_TYPE_ID": "bitrix_processes", "IBLOCK_ID": 3}`, "[]"))...)
		}, "tests do not support lists of type bitrix_processes"},
		{"items of another type", func(r *history.Record) {
			r.Steps = append(r.Steps, steps(call("crm.item.get", `{"entityTypeId": 8, "id": 3}`, `{"item": {"id": 3}}`))...)
		}, "tests do not support items of type 8"},
		{"lost on the way", func(r *history.Record) { r.Steps = append(r.Steps, steps(lost)...) }, "crm.deal.get failed on the way to the portal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := recordRuns(t, filepath.Join(dir, "rule_test.yaml"))[0]
			tt.change(r.Record)
			text, warnings, err := export.FromRun(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(warnings, "\n"); !strings.Contains(got, tt.warning) {
				t.Errorf("warnings %q, expected %q in\n%s", got, tt.warning, text)
			}
		})
	}
	r := recordRuns(t, filepath.Join(dir, "rule_test.yaml"))[0]
	r.Record.Brief = true
	if _, _, err := export.FromRun(t.Context(), r); !errors.Is(err, export.ErrNoReads) {
		t.Errorf("a brief record: %v", err)
	}
}
