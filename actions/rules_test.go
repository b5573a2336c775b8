package actions_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// TestRules runs the rule tests of testdata/rules with all built-in checks. Their
// rules show what a portal's data and answers must not break.
func TestRules(t *testing.T) {
	tests, files, err := testfile.Find([]string{"testdata/rules"})
	if err != nil || len(tests) == 0 || len(tests) != len(files) {
		t.Fatalf("rule files %v, tests %v, %v", files, tests, err)
	}
	report, err := ruletest.Run(t.Context(), tests, files, ruletest.Options{Actions: actions.All})
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
}
