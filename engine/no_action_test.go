package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
)

// TestNoActions compiles with an empty list of actions. The language itself has no
// actions.
func TestNoActions(t *testing.T) {
	const rule = `version: 1
inputs:
  token: {type: secret}
rules:
  r:
    on: ONCRMDEALUPDATE
    when: =event.id > 7
    steps: []
`
	var got []string
	_, list := load.File("a.yaml", []byte(rule), nil)
	for _, f := range list {
		got = append(got, f.Code)
	}
	if strings.Join(got, " ") != "missing-key" {
		t.Errorf("findings %v, want one about the missing steps", list)
	}
	_, list = load.File("a.yaml", []byte(strings.Replace(rule, "[]", "[{fetch_item: {}}]", 1)), nil)
	if len(list) != 1 || list[0].Code != "unknown-action" {
		t.Errorf("findings %v, want one about an unknown action", list)
	}
}

// TestEngineNamesNoAction looks for names of the program's actions in the strings
// of the engine's packages.
func TestEngineNamesNoAction(t *testing.T) {
	// Words of the engine that are also names of actions.
	allowed := map[string]string{"call": "kind of a change in dryrun", "log": "permission for the methods of the feed, such as log.blogpost.add"}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "formula") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if imp, ok := n.(*ast.ImportSpec); ok && imp != nil {
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range actions.All {
				if names(a, text) && allowed[a.Name] == "" {
					t.Errorf("%s: the string %q names the action %s", fset.Position(lit.Pos()), text, a.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// names reports whether a text names an action. Names that are plain English words
// count only as the whole text.
func names(a *engine.Action, text string) bool {
	if !strings.Contains(a.Name, "_") {
		return text == a.Name
	}
	return regexp.MustCompile(`\b` + a.Name + `\b`).MatchString(text)
}
