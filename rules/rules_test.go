package rules_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/rules"
)

// TestRulesCompile checks that the included files have no findings, not even
// warnings. The tests next to them and the scenarios of internal/app/service check
// what they do.
func TestRulesCompile(t *testing.T) {
	files, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	var sets []*engine.RuleSet
	for _, file := range files {
		data, err := fs.ReadFile(rules.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		set, list := load.File(file, data, actions.All)
		for _, f := range list {
			t.Error(f)
		}
		sets = append(sets, set)
	}
	for _, f := range lint.Together(sets) {
		t.Error(f)
	}
}

// TestRules runs the tests next to the rule files, with all built-in checks. Every
// included rule file has tests that reach all of it.
func TestRules(t *testing.T) {
	tests, files, err := testfile.Find([]string{"."})
	if err != nil || len(tests) != len(files) {
		t.Fatalf("rule files %v, tests %v, %v", files, tests, err)
	}
	for _, file := range files {
		if _, err := fs.Stat(rules.FS, file); err != nil {
			t.Errorf("%s does not ship: name it in rules.go", file)
		}
	}
	report, err := ruletest.Run(context.Background(), tests, files, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := ruletest.WriteText(&out, report, ruletest.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if report.Failed() {
		t.Error(out.String())
	}
	if got := report.Coverage.Percent(); got != 100 {
		t.Errorf("the tests reach %.1f%% of the shipped rules", got)
	}
}
