package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var updateFindings = flag.Bool("update-findings", false, "rewrite the wanted findings of testdata/findings")

// TestGoldenFindings validates the files of each testdata/findings archive
// together and compares the very text that a terminal shows, carets included.
func TestGoldenFindings(t *testing.T) {
	files, err := filepath.Glob("testdata/findings/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			last := len(ar.Files) - 1
			if ar.Files[last].Name != "findings" {
				ar.Files = append(ar.Files, txtar.File{Name: "findings"})
				last++
			}
			v := &validation{actions: actions.All, format: "text", sources: map[string][]byte{}}
			for _, f := range ar.Files[:last] {
				v.compile(f.Name, f.Data)
			}
			v.together()
			var got bytes.Buffer
			if err := v.print(environment{Std: Std{Out: &got}, actions: actions.All}); err != nil {
				t.Fatal(err)
			}
			if *updateFindings {
				ar.Files[last].Data = got.Bytes()
				if err := os.WriteFile(file, txtar.Format(ar), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(ar.Files[last].Data), got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
