package engine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/engine"
)

// FuzzCompile feeds the compiler anything: it must not panic, must place each
// finding inside the file, and must give a set exactly if there is no error.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/findings/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(ar.Files[0].Data))
	}
	acts := testActions(new([]saved))
	f.Fuzz(func(t *testing.T, text string) {
		set, list := engine.Compile("f.yaml", []byte(text), acts)
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
	ar, err := txtar.ParseFile("testdata/findings/good.txtar")
	if err != nil {
		b.Fatal(err)
	}
	acts := testActions(new([]saved))
	b.ReportAllocs()
	for b.Loop() {
		if set, list := engine.Compile("rule.yaml", ar.Files[0].Data, acts); set == nil {
			b.Fatal(list)
		}
	}
}
