package ruletest_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// docBlock is a YAML block of the manual that starts with its file's name.
var docBlock = regexp.MustCompile("(?s)```yaml\n# ([a-z_]+\\.yaml)\n(.*?)```")

// TestManual runs the examples of docs/testing.md.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range testfile.CheckNames() {
		if !strings.Contains(string(manual), "| `"+p+"` |") {
			t.Errorf("the manual does not describe the check %s", p)
		}
	}
	t.Chdir(t.TempDir())
	blocks := docBlock.FindAllStringSubmatch(string(manual), -1)
	for _, b := range blocks {
		if err := os.WriteFile(b[1], []byte(b[2]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tests, rules, err := testfile.Find([]string{"."})
	if err != nil || len(tests) < 3 || len(rules) != len(tests) {
		t.Fatalf("examples: rules %v, tests %v, %v", rules, tests, err)
	}
	report, err := ruletest.Run(context.Background(), tests, rules, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() {
		var out strings.Builder
		if err := ruletest.WriteText(&out, report, ruletest.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Error(out.String())
	}
}
