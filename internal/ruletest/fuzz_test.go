package ruletest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// FuzzTestFile reads and runs any text as the test file of a rule. Nothing panics, every
// finding has a position, and a file without findings runs to its end.
func FuzzTestFile(f *testing.F) {
	archives, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(archives) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if testfile.IsTestFile(file.Name) {
				f.Add(string(file.Data))
			}
		}
	}
	rule, err := os.ReadFile("../../rules/deal-shipments.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"a.yaml": string(rule), "a_test.yaml": data} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		report, err := Run(context.Background(), []string{filepath.Join(dir, "a_test.yaml")}, nil, Options{Actions: actions.All, Workers: 1})
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			t.Skip(err) // the key rules names a file that cannot be read
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range report.Findings {
			if finding.Line < 1 || finding.Column < 1 || finding.Message == "" {
				t.Errorf("a finding without a position: %+v", finding)
			}
		}
	})
}
