package lint_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
)

// TestInstancesShareNoHook: two instances of a rule set cannot take one hook, because an
// address starts one rule.
func TestInstancesShareNoHook(t *testing.T) {
	set, list := load.File("shop.yaml", []byte(`version: 1
rules:
  order:
    on: {hook: shop, fields: {order: {type: string, required: true}}}
    steps: [{log: {message: =event.data.order}}]
`), actions.All)
	if list.HasErrors() {
		t.Fatal(list)
	}
	found := lint.Together(lint.Summarize(set.As("north"), set.As("south")))
	if len(found) != 1 || found[0].Code != "source-taken" || !strings.Contains(found[0].String(), "rule order@north") {
		t.Errorf("two instances on one hook: %v", found)
	}
	if found := lint.Together(lint.Summarize(set.As("north"))); len(found) > 0 {
		t.Errorf("one instance: %v", found)
	}
}
