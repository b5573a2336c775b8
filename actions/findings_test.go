package actions_test

import (
	"path/filepath"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// TestFindings loads the files of testdata/findings and compares the findings with
// the comments in the files.
func TestFindings(t *testing.T) {
	paths, err := filepath.Glob("testdata/findings/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			files, err := wanttest.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			_, list := load.File(files[0].Name, files[0].Data, actions.All)
			for _, problem := range wanttest.Problems(files, list) {
				t.Error(problem)
			}
		})
	}
}
