package compile_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// FuzzCompile feeds the compiler anything: it must not panic, must place each
// finding inside the file, and must give a set exactly if there is no error.
func FuzzCompile(f *testing.F) {
	for _, files := range readFiles(f, "testdata/findings/*.yaml") {
		f.Add(string(files[0].Data))
	}
	acts := enginetest.Actions(new([]enginetest.Saved))
	f.Fuzz(func(t *testing.T, text string) {
		set, list := load.File("f.yaml", []byte(text), acts)
		if (set == nil) != list.HasErrors() {
			t.Errorf("set is nil: %v, errors: %v", set == nil, list.HasErrors())
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, x := range list {
			if x.Line < 1 || x.Line > lines+1 || x.Column < 1 || x.Code == "" || x.Message == "" {
				t.Errorf("finding %+v of a file with %d lines", x, lines)
			}
		}
	})
}

// BenchmarkCompile compiles the shipped size of rule file.
func BenchmarkCompile(b *testing.B) {
	good := readFiles(b, "testdata/findings/good.yaml")["good.yaml"]
	acts := enginetest.Actions(new([]enginetest.Saved))
	b.ReportAllocs()
	for b.Loop() {
		if set, list := load.File("rule.yaml", good[0].Data, acts); set == nil {
			b.Fatal(list)
		}
	}
}
