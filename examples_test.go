package b24rules_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// isPublic reports whether another module may use the package. The other packages
// below engine are for b24rules itself: their doc.go says so.
func isPublic(name string) bool {
	if strings.HasPrefix(name, "engine/") {
		return name == "engine/formula" || name == "engine/num"
	}
	return !slices.Contains(strings.Split(name, "/"), "internal") && !strings.HasPrefix(name, "cmd/")
}

// TestExamples requires an example with a checked output in each public package.
func TestExamples(t *testing.T) {
	for _, p := range packages(t) {
		if name := relative(p.ImportPath); isPublic(name) && !hasExample(t, p.Dir) {
			t.Errorf("package %s has no example with // Output", name)
		}
	}
}

func hasExample(t *testing.T, dir string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return slices.ContainsFunc(doc.Examples(files...), func(e *doc.Example) bool { return e.Output != "" })
}
