package config

import (
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/internal/wanttest"
)

// TestFindings reads each configuration of the archive.
func TestFindings(t *testing.T) {
	files, err := wanttest.Read("testdata/findings.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			_, list := Parse(f.Name, f.Data, func(name string) (string, bool) { return "t0k3n", name == "TOKEN" })
			for _, problem := range wanttest.Problems([]txtar.File{f}, list) {
				t.Error(problem)
			}
		})
	}
}
