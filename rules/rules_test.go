package rules_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/rules"
)

// TestCatalogue checks that the rule sets have no findings, not even warnings or notes,
// also next to each other, and a title in both languages.
func TestCatalogue(t *testing.T) {
	all := rules.Catalogue()
	if len(all) < 30 {
		t.Errorf("the catalogue has %d rule sets", len(all))
	}
	var sets []*engine.RuleSet
	for _, s := range all {
		set, list := load.File(s.Name+".yaml", s.Rules, actions.All)
		for _, f := range diag.Allow(list, s.Name+".yaml", s.Rules, []string{"at-least-once"}) {
			t.Error(f)
		}
		sets = append(sets, set)
		if set.Title == "" || s.Russian == "" {
			t.Errorf("%s has no title in both languages: %q, %q", s.Name, set.Title, s.Russian)
		}
	}
	for _, f := range lint.Together(lint.Summarize(sets...)) {
		t.Error(f)
	}
}

// TestRules runs the tests of the whole catalogue, with all built-in checks. Every rule
// set has tests that reach all of it.
func TestRules(t *testing.T) {
	tests, files, err := testfile.Find([]string{"."})
	if err != nil || len(tests) != len(files) {
		t.Fatalf("rule files %v, tests %v, %v", files, tests, err)
	}
	for _, file := range files {
		if _, ok := rules.Find(strings.TrimSuffix(filepath.Base(file), ".yaml")); !ok {
			t.Errorf("%s does not ship", file)
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
