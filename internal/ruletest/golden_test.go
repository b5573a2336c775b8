package ruletest_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

var update = flag.Bool("update", false, "rewrite the golden output of testdata")

// runArchive runs the test files of an archive and compares what is printed
// with its part "out". go test -update rewrites it.
func runArchive(t *testing.T, file string) *ruletest.Report {
	t.Helper()
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	want := -1
	for i, f := range archive.Files {
		if f.Name == "out" {
			want = i
			continue
		}
		if err := os.WriteFile(f.Name, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want < 0 {
		t.Fatalf("%s has no part out", file)
	}
	tests, rules, err := testfile.Find([]string{"."})
	if err != nil {
		t.Fatal(err)
	}
	report, err := ruletest.Run(context.Background(), tests, rules, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	options := ruletest.TextOptions{Verbose: strings.Contains(string(archive.Comment), "verbose"), Cover: strings.Contains(string(archive.Comment), "coverage")}
	if err := ruletest.WriteText(&out, report, options); err != nil {
		t.Fatal(err)
	}
	got := out.String() + ruletest.Summary(report) + "\n"
	if *update {
		archive.Files[want].Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	return report
}

// TestGolden compares the report of passing, failing and broken files.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runArchive(t, file) })
	}
}

// TestChecksCanFail runs a faulty rule for each built-in check. The test file expects
// exactly what the rule does, so only the check can find the fault.
func TestChecksCanFail(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, file := range files {
		fault := strings.TrimSuffix(filepath.Base(file), ".txtar")
		check, _, _ := strings.Cut(fault, "-")
		seen = append(seen, check)
		t.Run(fault, func(t *testing.T) {
			report := runArchive(t, file)
			if len(report.Results) == 0 {
				t.Fatal("no test has run")
			}
			for _, r := range report.Results {
				caught := false
				for _, f := range r.Failures {
					if f.Check == "" {
						t.Errorf("%s failed without a check: %s", r.Name, f.Message)
					}
					caught = caught || f.Check == check
				}
				if !caught {
					t.Errorf("%s: the check %s has not found the fault", r.Name, check)
				}
			}
		})
	}
	for _, name := range testfile.CheckNames() {
		if !slices.Contains(seen, name) {
			t.Errorf("no test shows that the check %s can fail: add testdata/faults/%s.txtar", name, name)
		}
	}
}

// TestNothingMeasured checks that a file without tests has no coverage instead of full
// coverage.
func TestNothingMeasured(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"a.yaml":      "version: 1\nrules:\n  a: {on: ONCRMDEALUPDATE, steps: [{log: {message: hi}}]}\n",
		"a_test.yaml": "tests:\n  - {name: x, given: {deels: {}}, event: ONCRMDEALUPDATE 7}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	report, err := ruletest.Run(t.Context(), []string{"a_test.yaml"}, nil, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := ruletest.WriteText(&out, report, ruletest.TextOptions{Cover: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "coverage: no rule was measured\n") {
		t.Errorf("%s", out.String())
	}
}
