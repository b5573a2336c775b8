package lint_test

import (
	"path/filepath"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/wanttest"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestFindings checks the files of testdata, with the actions of the program.
func TestFindings(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		files, err := wanttest.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, problem := range wanttest.Problems(files, check(t, files)) {
				t.Error(problem)
			}
		})
	}
}

// check loads files, checks them together and removes what their comments allow.
func check(t *testing.T, files []txtar.File) diag.List {
	t.Helper()
	var list diag.List
	var sets []*engine.RuleSet
	for _, f := range files {
		set, found := load.File(f.Name, f.Data, actions.All)
		if (set == nil) != found.HasErrors() {
			t.Errorf("%s: set is nil: %v, errors: %v", f.Name, set == nil, found.HasErrors())
		}
		list.Add(found...)
		if set != nil {
			sets = append(sets, set)
		}
	}
	list.Add(lint.Together(lint.Summarize(sets...))...)
	for _, f := range files {
		list = diag.Allow(list, f.Name, f.Data, docs.FindingCodes())
	}
	list.Sort()
	return list
}
