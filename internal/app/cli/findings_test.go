package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/wanttest"
)

// example is a piece of docs/findings.md that is run.
type example struct {
	code string
	good bool
	text string
}

var fence = regexp.MustCompile("(?s)```yaml (bad|good)\n(.*?)```")

// examples reads the manual.
func examples() []example {
	var out []example
	for _, code := range docs.FindingCodes() {
		text, _ := docs.Finding(code)
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			out = append(out, example{code, m[1] == "good", m[2]})
		}
	}
	return out
}

// files cuts an example at "# file: NAME" and completes what is a piece.
func (e example) files() []fleet.RuleFile {
	var out []fleet.RuleFile
	for i, part := range strings.Split("\n"+e.text, "\n# file: ") {
		name, text := "rule.yaml", strings.TrimPrefix(part, "\n")
		if i > 0 {
			name, text, _ = strings.Cut(part, "\n")
		} else if strings.TrimSpace(part) == "" {
			continue
		}
		out = append(out, fleet.RuleFile{Name: name, Data: []byte(whole(name, text))})
	}
	return out
}

// whole makes a rule file of steps, of a rule, or of a file without version.
func whole(name, text string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(text, "# \n"), "\n")
	switch {
	case name != "rule.yaml" || strings.HasPrefix(first, "version:"):
		return text
	case strings.HasPrefix(first, "- ") || strings.HasPrefix(first, "b24rules: allow"):
		return "version: 1\nrules:\n  example:\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    steps:\n" + indent(text, "      ")
	case strings.HasPrefix(first, "on:"):
		return "version: 1\nrules:\n  example:\n" + indent(text, "    ")
	case strings.Contains(text, "portals:"):
		return text
	}
	return "version: 1\n" + text
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + line)
	}
	return b.String()
}

// findings runs an example as validate would, or as serve would where it holds
// a configuration.
func (e example) findings(t *testing.T) diag.List {
	t.Helper()
	files := e.files()
	if i := slices.IndexFunc(files, func(f fleet.RuleFile) bool { return strings.HasSuffix(f.Name, "_test.yaml") }); i >= 0 {
		return testFileFindings(t, files, files[i].Name)
	}
	v := &validation{actions: actions.All, sources: map[string][]byte{}}
	if strings.Contains(e.text, "portals:\n") && strings.Contains(e.text, "webhook") {
		if len(files) == 1 {
			_, list := exampleConfig(files[0].Data)
			return list
		}
		return configuredFindings(t, files[0].Data, files[1:])
	}
	for _, f := range files {
		v.compile(f.Name, f.Data)
	}
	v.together()
	return v.list
}

// exampleConfig reads a configuration with the variable TOKEN.
func exampleConfig(text []byte) (*config.Config, diag.List) {
	return config.Parse("b24rules.yaml", text, func(name string) (string, bool) { return "t0k3n", name == "TOKEN" })
}

// configuredFindings are those of a configuration b24rules.yaml and of the rule
// files that it names.
func configuredFindings(t *testing.T, configuration []byte, rules []fleet.RuleFile) diag.List {
	t.Helper()
	c, list := exampleConfig(configuration)
	if list.HasErrors() {
		return list
	}
	l := &fleet.Rules{Actions: actions.All, Source: func() ([]fleet.RuleFile, error) { return rules, nil }, Portals: c.Portals}
	_, gen, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	list.Add(gen.Notes()...)
	list.Add(gen.Findings()...)
	if len(list) == 0 {
		list.Add(gen.StartFindings("b24rules.yaml")...)
	}
	return list
}

// TestConfiguredFindings loads the configuration and the rules of each archive.
func TestConfiguredFindings(t *testing.T) {
	archives, err := filepath.Glob("testdata/configured/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			files, err := wanttest.Read(archive)
			if err != nil {
				t.Fatal(err)
			}
			var rules []fleet.RuleFile
			for _, f := range files[1:] {
				rules = append(rules, fleet.RuleFile{Name: f.Name, Data: f.Data})
			}
			for _, problem := range wanttest.Problems(files, configuredFindings(t, files[0].Data, rules)) {
				t.Error(problem)
			}
		})
	}
}

// testFileFindings runs an example that is a rule test.
func testFileFindings(t *testing.T, files []fleet.RuleFile, name string) diag.List {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		testkit.WriteFile(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	report, err := ruletest.Run(t.Context(), []string{filepath.Join(dir, name)}, nil, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		for _, failure := range r.Failures {
			t.Errorf("the example's test fails: %+v", failure)
		}
	}
	list := slices.Clone(report.Findings)
	for i := range list {
		list[i].File = filepath.Base(list[i].File)
	}
	return list
}

// TestFindingExamples runs every example of the manual: a bad one must have
// the finding of its section and no other, a good one none.
func TestFindingExamples(t *testing.T) {
	has := map[string]int{}
	for i, e := range examples() {
		has[e.code+map[bool]string{true: "+", false: "-"}[e.good]]++
		t.Run(fmt.Sprintf("%d-%s", i, e.code), func(t *testing.T) {
			list := e.findings(t)
			codes := map[string]bool{}
			for _, f := range list {
				codes[f.Code] = true
			}
			got := slices.Sorted(maps.Keys(codes))
			if e.good && len(list) > 0 || !e.good && !slices.Equal(got, []string{e.code}) {
				t.Errorf("good: %v, findings %v of\n%s", e.good, list, e.text)
			}
		})
	}
	for _, code := range docs.FindingCodes() {
		// Some cannot be shown in a page of text: TestFindingsBeyondText and
		// TestConfiguredFindings have them, the package config has readable-secret and unread-file, and the
		// tests of the service have would-double, which needs what rules have made.
		if beyond := slices.Contains([]string{"yaml-encoding", "yaml-limit", "yaml-name", "no-rules", "readable-secret", "would-double", "unread-file", "not-applied"}, code); !beyond && (has[code+"+"] == 0 || has[code+"-"] == 0) {
			t.Errorf("%s has %d good and %d bad examples", code, has[code+"+"], has[code+"-"])
		}
	}
}

// beyondText are the bad examples that a page cannot show.
var beyondText = []struct{ code, name, text string }{
	{"yaml-encoding", "a.yaml", "version: 1\ntitle: a\x07b\n"},
	{"yaml-encoding", "a.yaml", "\xff\xfev\x00"},
	{"yaml-limit", "a.yaml", strings.Repeat("# long\n", 1<<18)},
	{"yaml-limit", "a.yaml", "a: " + strings.Repeat("[", 60) + strings.Repeat("]", 60)},
	{"yaml-name", "a.yaml.txt", "version: 1\nrules: {}\n"},
}

// TestFindingsBeyondText tries them.
func TestFindingsBeyondText(t *testing.T) {
	for _, tt := range beyondText {
		_, list := load.File(tt.name, []byte(tt.text), actions.All)
		if len(list) == 0 || list[0].Code != tt.code {
			t.Errorf("%.20q: %v, want %s", tt.text, list, tt.code)
		}
	}
}

// emitters are the functions and fields that take the code of a finding, with
// the place of the code among their arguments.
var emitters = map[string]int{
	"Errorf": 1, "errorf": 1, "Warnf": 1, "warnf": 1, "WarnNamef": 0, "WarnValuef": 0, "finding": 1, "fail": 1, "warn": 0,
}

var codeWord = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// TestEveryCodeHasASection reads the source for codes of findings: whatever is
// emitted anywhere must be in the manual, and nothing else.
func TestEveryCodeHasASection(t *testing.T) {
	emitted := map[string]string{}
	for _, dir := range []string{"internal/yamlfile", "engine", "engine/*", "actions", "actions/internal/*", "internal/diag", "internal/ruletest", "internal/ruletest/*", "internal/app/*"} {
		files, err := filepath.Glob("../../../" + dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, code := range codesIn(f) {
				emitted[code] = name
			}
		}
	}
	known := docs.FindingCodes()
	for code, file := range emitted {
		if !slices.Contains(known, code) {
			t.Errorf("%s emits %q, which docs/findings.md does not explain", file, code)
		}
	}
	for i, code := range known {
		if emitted[code] == "" {
			t.Errorf("docs/findings.md explains %q, which nothing emits", code)
		}
		if slices.Contains(known[:i], code) {
			t.Errorf("docs/findings.md explains %q twice", code)
		}
	}
	if len(known) < 60 {
		t.Errorf("only %d codes", len(known))
	}
}

// codesIn finds the string literals of a file that are codes.
func codesIn(f *ast.File) []string {
	var out []string
	add := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if s, err := strconv.Unquote(lit.Value); err == nil && codeWord.MatchString(s) {
			out = append(out, s)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.CallExpr:
			if at, ok := emitters[calledName(x)]; ok && at+1 < len(x.Args) {
				add(x.Args[at])
			}
		case *ast.KeyValueExpr:
			if id, ok := x.Key.(*ast.Ident); ok && (id.Name == "Code" || id.Name == "code") {
				add(x.Value)
			}
		case *ast.AssignStmt:
			if sel, ok := x.Lhs[0].(*ast.SelectorExpr); ok && sel.Sel.Name == "Code" {
				add(x.Rhs[0])
			}
		case *ast.ValueSpec:
			for i, id := range x.Names {
				if strings.HasPrefix(id.Name, "code") && i < len(x.Values) {
					add(x.Values[i])
				}
			}
		}
		return true
	})
	return out
}

// calledName is the name of what a call calls.
func calledName(x *ast.CallExpr) string {
	switch fn := x.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		return fn.Sel.Name
	}
	return ""
}
