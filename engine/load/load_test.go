package load_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestFile checks which findings File returns, and that only a file without errors gives a
// rule set.
func TestFile(t *testing.T) {
	const head = "version: 1\nrules:\n  r:\n    on: {events: [ONCRMDYNAMICITEMADD], entityTypeId: 1038}\n    steps:\n"
	for _, tt := range []struct {
		name, text string
		codes      string
		ok         bool
	}{
		{"no findings", head + "      - save: {entityTypeId: 1040}\n", "", true},
		{"a warning", head + "      - when: =true\n        save: {entityTypeId: 1040}\n", "constant-condition", true},
		{"an error of the compiler", head + "      - when: =true\n        svae: {entityTypeId: 1040}\n", "unknown-action", false},
		{"an error of lint", head + "      - make_rows: {count: 1}\n      - save: {entityTypeId: 1038}\n", "unused-result self-trigger", false},
		{"no YAML", "{", "yaml-syntax", false},
	} {
		set, list := load.File("a.yaml", []byte(tt.text), enginetest.Actions(new([]enginetest.Saved)))
		var codes []string
		for _, f := range list {
			codes = append(codes, f.Code)
		}
		if diff := cmp.Diff(tt.codes, strings.Join(codes, " ")); diff != "" || (set != nil) != tt.ok {
			t.Errorf("%s: a rule set %t, findings (-want +got)\n%s", tt.name, set != nil, diff)
		}
	}
}
