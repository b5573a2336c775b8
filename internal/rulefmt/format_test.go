package rulefmt_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/internal/rulefmt"
)

var update = flag.Bool("update", false, "rewrite what testdata wants")

// TestLayout formats the files of testdata. Each is an archive of a file and of
// what becomes of it.
func TestLayout(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in, want := a.Files[0], &a.Files[1]
			got, list, err := rulefmt.Format("rule.yaml", in.Data)
			if err != nil || len(list) > 0 {
				t.Fatal(err, list)
			}
			if *update {
				want.Data = got
				if err := os.WriteFile(name, txtar.Format(a), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(want.Data), string(got)); d != "" {
				t.Errorf("layout (-want +got):\n%s", d)
			}
			twice, _, err := rulefmt.Format("rule.yaml", got)
			if d := cmp.Diff(string(got), string(twice)); d != "" || err != nil {
				t.Errorf("formatted twice (-once +twice), %v:\n%s", err, d)
			}
		})
	}
}
