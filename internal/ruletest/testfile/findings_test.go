package testfile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// TestFindings loads the test files of each archive and compares the findings with
// the want comments in them.
func TestFindings(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			files, err := wanttest.Read(archive)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			for _, f := range files {
				if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var list diag.List
			for _, f := range files {
				if !testfile.IsTestFile(f.Name) {
					continue
				}
				file, found, err := testfile.Load(f.Name, actions.All, testfile.Sources{})
				if err != nil {
					t.Fatal(err)
				}
				if (file == nil) != found.HasErrors() {
					t.Errorf("%s: a file is returned: %v, with the findings %v", f.Name, file != nil, found)
				}
				list.Add(found...)
			}
			for _, problem := range wanttest.Problems(files, list) {
				t.Error(problem)
			}
		})
	}
}

// TestLoad reads the parts of a file that is right.
func TestLoad(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"a.yaml": "version: 1\ninputs: {n: {type: integer}}\nrules: {a: {on: ONCRMDEALUPDATE, steps: [{log: {message: =string(inputs.n)}}]}}\n",
		"a_test.yaml": `
rules: a.yaml
portal: {name: shop, deals: {ufCrm_REGION: string}}
inputs: {n: 1}
tests:
  - name: first
    inputs: {n: 2}
    given: {deals: {7: {title: Roof, ufCrm_REGION: West}}}
    event: ONCRMDEALUPDATE 7
    outcome: {a: done}
    then:
      - change: {deals: {7: null}}
        event: {code: ONCRMDEALDELETE, id: 7, time: "2026-02-01T00:00:00Z"}
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, list, err := testfile.Load("a_test.yaml", actions.All, testfile.Sources{})
	if err != nil || len(list) > 0 {
		t.Fatal(list, err)
	}
	test := f.Content.Tests[0]
	inputs, problems := testfile.InputsFor(f.Sets[0], testfile.MergeInputs(f.Content.Inputs, test.Inputs))
	if f.PortalName() != "shop" || len(problems) > 0 || len(inputs) != 1 {
		t.Errorf("portal %q, inputs %v, %v", f.PortalName(), inputs, problems)
	}
	var labels []string
	for _, p := range test.Phases() {
		labels = append(labels, p.Scenario.Event.Label)
	}
	if diff := cmp.Diff([]string{"ONCRMDEALUPDATE 7", "ONCRMDEALDELETE 7"}, labels); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if got := test.Scenario.Outcome.ByRule["a"]; got != "done" {
		t.Errorf("outcome %q", got)
	}
}

// TestFind returns test files and rule files of folders, and the test file of a rule
// file. Names that start with a dot are skipped.
func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"rules/a.yaml", "rules/a_test.yaml", "rules/deep/b.yml", "rules/deep/b_test.yml", "rules/.hidden/c_test.yaml", "rules/.d_test.yaml", "rules/note.txt", "alone.yaml"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both := []string{"rules/a_test.yaml", "rules/deep/b_test.yml"}
	for _, tt := range []struct {
		paths, tests, rules []string
		fails               string
	}{
		{paths: []string{"rules"}, tests: both, rules: []string{"rules/a.yaml", "rules/deep/b.yml"}},
		{paths: []string{"rules/a.yaml"}, tests: both[:1]},
		{paths: []string{"rules/deep/b_test.yml", "rules"}, tests: both, rules: []string{"rules/a.yaml", "rules/deep/b.yml"}},
		{paths: []string{"alone.yaml"}, fails: "alone.yaml has no tests: alone_test.yaml does not exist"},
		{paths: []string{"missing"}, fails: "missing"},
	} {
		tests, rules, err := testfile.Find(tt.paths)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%v: error %v, expected %q", tt.paths, err, tt.fails)
			}
			continue
		}
		if err != nil || !slices.Equal(tests, tt.tests) || !slices.Equal(rules, tt.rules) {
			t.Errorf("%v: tests %v, rules %v, %v", tt.paths, tests, rules, err)
		}
	}
}

// TestSchema checks that the editor schema offers every built-in check with its
// description.
func TestSchema(t *testing.T) {
	data, err := json.Marshal(testfile.Schema())
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, name := range testfile.CheckNames() {
		if !strings.Contains(text, `"`+name+`"`) {
			t.Errorf("the schema has no %s", name)
		}
	}
	for _, c := range testfile.BuiltinChecks {
		if !strings.Contains(text, c.Doc) {
			t.Errorf("the schema does not describe %s: %s", c.Name, c.Doc)
		}
	}
}
