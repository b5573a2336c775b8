package compile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/enginetest"
	"github.com/b24rules/b24rules/internal/wanttest"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestFindings compiles the files of testdata/findings and checks them as load does. The
// archives use the actions of the program, the other files those of enginetest.
func TestFindings(t *testing.T) {
	for name, files := range readFiles(t, "testdata/findings/*") {
		known := enginetest.Actions(new([]enginetest.Saved))
		if filepath.Ext(name) == ".txtar" {
			known = actions.All
		}
		t.Run(name, func(t *testing.T) {
			var all diag.List
			for _, f := range files {
				set, list := load.File(f.Name, f.Data, known)
				if (set == nil) != list.HasErrors() {
					t.Errorf("%s: set is nil: %v, errors: %v", f.Name, set == nil, list.HasErrors())
				}
				all.Add(list...)
			}
			for _, problem := range wanttest.Problems(files, all) {
				t.Error(problem)
			}
		})
	}
}

// TestPlacesInEveryEncoding checks that a file has the same findings at the same places
// with the line ends of Windows or old Macs, and with a byte order mark.
func TestPlacesInEveryEncoding(t *testing.T) {
	for name, files := range readFiles(t, "testdata/findings/*.yaml") {
		text := string(files[0].Data)
		_, want := load.File(name, []byte(text), enginetest.Actions(new([]enginetest.Saved)))
		for encoding, other := range map[string]string{
			"CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "CR": strings.ReplaceAll(text, "\n", "\r"), "BOM": "\ufeff" + text,
		} {
			_, got := load.File(name, []byte(other), enginetest.Actions(new([]enginetest.Saved)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s (-LF +%s)\n%s", name, encoding, encoding, diff)
			}
		}
	}
}

// readFiles returns the files of the tests that a pattern names.
func readFiles(t testing.TB, pattern string) map[string][]txtar.File {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	out := map[string][]txtar.File{}
	for _, path := range paths {
		if out[filepath.Base(path)], err = wanttest.Read(path); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
