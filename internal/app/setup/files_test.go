package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/setup"
)

// TestWrite writes all files or none, and replaces no file.
func TestWrite(t *testing.T) {
	files := []setup.File{{Path: "a.yaml", Data: []byte("a")}, {Path: "deep/er/b", Data: []byte("b"), Secret: true}}
	dir := filepath.Join(t.TempDir(), "new", "folder")
	if err := setup.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "deep", "er", "b")); err != nil || string(data) != "b" {
		t.Errorf("%s %v", data, err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("%v", entries)
	}
	if err := setup.Write(dir, files); err == nil || !strings.Contains(err.Error(), "a.yaml, deep/er/b exists already") {
		t.Errorf("%v", err)
	}
	// The folder of the second file cannot be made: nothing stays.
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deep"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setup.Write(dir, files); err == nil {
		t.Error("no error")
	}
	entries, _ = os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("%v", entries)
	}
	dir = filepath.Join(t.TempDir(), "new")
	if err := setup.Write(dir, []setup.File{{Path: "a", Data: nil}, {Path: "a/b", Data: nil}}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s exists", dir)
	}
}
