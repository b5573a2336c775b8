package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ledger"
)

// examplesGolden is what a terminal shows for the bad examples of the manual.
const examplesGolden = "testdata/examples.golden"

// TestGoldenExamples compares the very text of every finding that the manual
// has an example for, so that each code has a wanted message and place.
func TestGoldenExamples(t *testing.T) {
	var got bytes.Buffer
	var covered []string
	show := func(code string, list diag.List, sources map[string][]byte) {
		fmt.Fprintf(&got, "== %s\n", code)
		if err := diag.WriteText(&got, list, func(file string) []byte { return sources[file] }, false); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(list, func(f diag.Finding) bool { return f.Code == code }) {
			covered = append(covered, code)
		}
	}
	for _, e := range examples() {
		if e.good {
			continue
		}
		sources := map[string][]byte{}
		for _, f := range e.files() {
			sources[f.Name] = f.Data
		}
		show(e.code, e.findings(t), sources)
	}
	for _, b := range beyondText {
		_, list := load.File(b.name, []byte(b.text), actions.All)
		show(b.code, list, nil) // the text itself cannot be printed
	}
	show("no-rules", new(fleet.Generation).StartFindings("b24rules.yaml"), nil)

	_, readable := exampleConfig([]byte("rules: [rules]\nportals:\n  main: {webhook_file: /dev/null, application_token: t0k3n}\n"))
	show("readable-secret", readable, nil)

	show("unread-file", unreadFile(t), nil)
	show("not-applied", notApplied(t), nil)

	renamed := "version: 1\nrules:\n  remark:\n    on: ONCRMDEALUPDATE\n    steps:\n      - upsert_element: {list: 47, key: =event.id, fields: {NAME: x}}\n"
	show("would-double", doubling(t, renamed), map[string][]byte{"rule.yaml": []byte(renamed)})

	for _, code := range docs.FindingCodes() {
		if !slices.Contains(covered, code) {
			t.Errorf("no golden case has the code %s", code)
		}
	}
	if *updateFindings {
		if err := os.WriteFile(examplesGolden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(testkit.ReadFile(t, examplesGolden), got.String()); diff != "" {
		t.Errorf("go test ./internal/app/cli -run TestGolden -update-findings rewrites it (-want +got)\n%s", diff)
	}
}

// madeByNote is a ledger in which rule note has made elements.
type madeByNote struct{}

func (madeByNote) Marks(context.Context, string) ([]ledger.Mark, error) {
	m := engine.Mark{Rule: "note", Step: "s", Kind: engine.MarkElements, Place: "list:47", Identity: engine.IdentityForm + "x", Owner: "note", Key: "=event.id"}
	return []ledger.Mark{{ID: 1, Portal: "main", Mark: m, File: "rule.yaml:6:9", Made: true}}, nil
}

func (madeByNote) Count(context.Context, int64) (int, error) { return 12, nil }

func (madeByNote) Remembers(context.Context, string, string, string) (bool, error) { return false, nil }

// doubling returns the findings of a rule file where rule note has made something.
func doubling(t *testing.T, text string) diag.List {
	t.Helper()
	l := &fleet.Rules{
		Actions: actions.All, Portals: []config.Portal{{Name: "main"}}, Ledger: madeByNote{},
		Source: func() ([]fleet.RuleFile, error) {
			return []fleet.RuleFile{{Name: "rule.yaml", Data: []byte(text)}}, nil
		},
	}
	_, gen, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	return gen.Findings()
}

// unreadFile is the finding of a file in a folder of portals that is not read.
func unreadFile(t *testing.T) (list diag.List) {
	t.Helper()
	t.Run("folder", func(t *testing.T) { // whose end leaves the folder
		t.Chdir(t.TempDir())
		testkit.WriteFile(t, "portals/main.yaml", "{webhook: 'https://example.bitrix24.com/rest/1/code/', application_token: t0k3n}")
		testkit.WriteFile(t, "portals/main.yaml.bak", "")
		_, list = exampleConfig([]byte("rules: [rules]\nportals: portals\n"))
	})
	return list
}

// notApplied is the finding of a version that no person has applied.
func notApplied(t *testing.T) diag.List {
	t.Helper()
	text := "version: 1\nrules:\n  remark: {on: ONCRMDEALUPDATE, steps: [{log: {message: hi}}]}\n"
	l := &fleet.Rules{
		Actions: actions.All, Portals: []config.Portal{{Name: "main"}}, Applied: func(context.Context) (fleet.Applied, error) { return fleet.Applied{}, nil },
		Source: func() ([]fleet.RuleFile, error) {
			return []fleet.RuleFile{{Name: "rule.yaml", Data: []byte(text)}}, nil
		},
	}
	for _, next := range []string{text, strings.Replace(text, "hi", "ho", 1)} {
		text = next
		if _, _, err := l.Load(); err != nil {
			t.Fatal(err)
		}
	}
	return l.Current().Findings()
}
