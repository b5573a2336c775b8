package rules_test

import (
	"io/fs"
	"testing"

	"b24rules/actions"
	"b24rules/engine"
	"b24rules/rules"
)

// TestRulesCompile holds the shipped files to what is asked of everybody's: no
// findings, warnings included. That they do what they say is shown by the
// scenarios of cmd/b24rules, against a portal.
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
		set, list := engine.Compile(file, data, actions.All)
		for _, f := range list {
			t.Error(f)
		}
		sets = append(sets, set)
	}
	for _, f := range engine.CheckTogether(sets) {
		t.Error(f)
	}
}
