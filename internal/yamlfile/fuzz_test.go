package yamlfile

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// inside fails unless each finding is inside the file, or right after a line.
func inside(t testing.TB, f *File, list diag.List) {
	t.Helper()
	for _, finding := range list {
		p := finding.Pos
		if p.File != f.Name || p.Line < 1 || p.Column < 1 || p.Line > len(f.text.editor) || p.Column > len([]rune(f.Line(p.Line)))+1 {
			t.Errorf("no such place: %v", finding)
		}
		if finding.Message == "" || finding.Code == "" {
			t.Errorf("no message or code: %+v", finding)
		}
		end := diag.Pos{File: p.File, Line: finding.EndLine, Column: finding.EndColumn}
		if finding.EndLine != 0 && end.Before(p) {
			t.Errorf("ends at %v before it begins: %v", end, finding)
		}
	}
}

func FuzzParse(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/findings.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasSuffix(file.Name, ".yaml") {
			f.Add(file.Data)
		}
	}
	for _, seed := range []string{
		"a: |2-\n    x\n   y\n\n", "a: >+\n\n x\n\n  y\n\n", "a: \"x\\\n  y\\x41\\u00e9\\\\\"", "\ufeffa: &x !!str ж\r\nb: *x\r\n",
		"a: 'x''y\n\n  z'", "? |\n  k\n: v", "- - a\n  - {b: c}\n", "a:\u2028b: c", "a: 👍🏽\t# x", "%TAG ! tag:x,2000:\n---\n!a b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		file, list := Parse("x.yaml", data)
		inside(t, file, list)
		checkCells(t, file, file.Root)
		visit(t, file, file.Root)

		var into struct {
			A any               `yaml:"a"`
			B int               `yaml:"b" validate:"required"`
			C map[string]string `yaml:"c"`
			D []struct {
				A string `yaml:"a" validate:"required,max=3"`
			} `yaml:"d" validate:"max=2"`
		}
		inside(t, file, Decode(file, file.Root, &into))
	})
}

// visit computes all places and traps of a tree.
func visit(t testing.TB, f *File, n *yaml.Node) {
	if n == nil {
		return
	}
	for _, i := range []int{-1, 0, 1, len([]rune(n.Value)), 1 << 30} {
		inside(t, f, diag.List{{Pos: f.At(n, i), Code: "at", Message: "at"}, {Pos: f.Pos(n), Code: "pos", Message: "pos"}})
	}
	FormulaTrap(f, n)
	for _, child := range n.Content {
		visit(t, f, child)
	}
}
