package wanttest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// TestEachCodeHasAWant collects the codes of docs/findings.md and those of the
// want comments in all testdata folders, and compares them.
func TestEachCodeHasAWant(t *testing.T) {
	expected := map[string]bool{
		"yaml-name": true, // is about a file's name, which a comment in an archive cannot have
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.Contains(path, "/testdata/") {
			return nil
		}
		if ext := filepath.Ext(path); ext != ".yaml" && ext != ".txtar" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		comments, err := wanttest.Comments(path, data)
		for _, w := range comments {
			expected[w.Code] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Findings that are not about one file, and where they are tested.
	found := map[string]string{
		"would-double":     "TestInputsThatDouble of the package fleet",
		"unread-file":      "TestBrokenFolder of the package config",
		"not-applied":      "TestApplied of the package fleet",
		"no-source-secret": "TestGoldenExamples of the package cli",
	}
	known := map[string]bool{}
	for _, code := range docs.FindingCodes() {
		known[code] = true
		if !expected[code] && found[code] == "" {
			t.Errorf("no want comment for %s", code)
		}
	}
	for code := range expected {
		if !known[code] {
			t.Errorf("a want comment for %s, which docs/findings.md does not explain", code)
		}
	}
}
