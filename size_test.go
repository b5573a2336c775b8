package b24rules_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

const (
	maxLines    = 4000 // of a package, without its tests
	maxMethods  = 20   // of a type
	maxSynopsis = 20   // words in the first sentence of a package comment
)

// bigPackages have more than maxLines lines, with the reason.
var bigPackages = map[string]string{
	"actions":               "a file for each action, with its checks; what they share is in internal packages",
	"bitrix":                "one client of one API: its calls, answers, metadata and tokens share the transport",
	"internal/app/cli":      "a file for each command of the program; they share flags and output only",
	"internal/app/console":  "one file for each page of the console, their texts in two languages and their tests",
	"internal/app/report":   "one file for each answer of the command line and the console, as text and as JSON; they share how tables and times are printed",
	"internal/app/service":  "one file for each part of the running program: intake, worker, portals, reload, downtime, jobs, alerts",
	"emulator/internal/crm": "the methods crm.* share how an item is saved and shown",
	"engine":                "what a compiled rule, a run and an action say to each other; the work is in its subpackages",
	"engine/formula":        "one language: inference, evaluation and functions share the types of its values",
}

// bigTypes have more than maxMethods methods, with the reason.
var bigTypes = map[string]string{
	"bitrix.Client":                 "the public face of one portal: calls, listings, metadata, subscriptions and the state of the rate limit share one connection",
	"emulator.Portal":               "the public face of a portal: a method for each thing that a test sets up, asks or ends",
	"emulator/internal/model.Store": "the data of a portal: a method for each read and each change of it",
	"engine/formula.checker":        "one walk over the syntax tree: a method for each kind of node and each function's rule",
	"engine/num.Num":                "a number type, as math/big.Rat: a method for each operation",
	"internal/app/apptest.Harness":  "a running program for tests: a method for each thing that a test does to it",
	"internal/app/fleet.Generation": "what runs in each portal, and what does not and why: values that never change, one method for each question",
	"internal/app/service.Service":  "the running program: it starts, changes and stops its parts in order",
	"internal/app/console.Console":  "one handler for each address of the console, and what they share: the user, the database, the rules",
	"internal/app/console.request":  "one request with its user and language: a method for each text that depends on them",
	"internal/app/config.reader":    "one reader of one file: a method for each section of the configuration",
}

// parsePackage reads the files of a package without its tests.
func parsePackage(t *testing.T, p goPackage) (*token.FileSet, []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return fset, files
}

// TestSizes holds that a package and a type can be read in one sitting.
func TestSizes(t *testing.T) {
	packagesAbove, typesAbove := map[string]bool{}, map[string]bool{}
	for _, p := range packages(t) {
		name := relative(p.ImportPath)
		fset, files := parsePackage(t, p)
		lines := 0
		methods := map[string]int{}
		for _, f := range files {
			lines += fset.File(f.FileStart).LineCount()
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
					methods[receiver(fn)]++
				}
			}
		}
		if lines > maxLines {
			packagesAbove[name] = true
			if bigPackages[name] == "" {
				t.Errorf("package %s has %d lines, at most %d: split it, or give a reason in bigPackages", name, lines, maxLines)
			}
		}
		for typeName, n := range methods {
			if n > maxMethods {
				typesAbove[name+"."+typeName] = true
				if bigTypes[name+"."+typeName] == "" {
					t.Errorf("type %s.%s has %d methods, at most %d: split it, or give a reason in bigTypes", name, typeName, n, maxMethods)
				}
			}
		}
	}
	for name := range bigPackages {
		if !packagesAbove[name] {
			t.Errorf("package %s has at most %d lines: remove it from bigPackages", name, maxLines)
		}
	}
	for name := range bigTypes {
		if !typesAbove[name] {
			t.Errorf("type %s has at most %d methods: remove it from bigTypes", name, maxMethods)
		}
	}
}

// receiver is the name of a method's type.
func receiver(fn *ast.FuncDecl) string {
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// TestPackageDocs requires one package comment in each package, whose first sentence is
// short: it is what a list of packages shows.
func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		_, files := parsePackage(t, p)
		var comments []string
		for _, f := range files {
			if f.Doc != nil {
				comments = append(comments, f.Doc.Text())
			}
		}
		if len(comments) != 1 {
			t.Errorf("package %s has %d package comments, want one", p.ImportPath, len(comments))
			continue
		}
		first := new(doc.Package).Synopsis(comments[0])
		if n := len(strings.Fields(first)); n > maxSynopsis || n == 0 {
			t.Errorf("the first sentence of the comment of package %s has %d words, at most %d: %s", p.ImportPath, n, maxSynopsis, first)
		}
	}
}
