package run_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestKeyOfAHook: a stored request whose key cannot be computed parks its run with the
// reason. Without the key, the order of requests would be lost.
func TestKeyOfAHook(t *testing.T) {
	var saved []enginetest.Saved
	set := enginetest.Compile(t, `
version: 1
rules:
  orders:
    on: {hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}
    steps: [{save: {entityTypeId: 9, fields: {order: =event.data.order}}}]
`, &saved)
	for key, want := range map[string]string{"A-1": "", "": "the key is empty"} {
		saved = nil
		r := enginetest.DealRun()
		r.Event = engine.HookEvent("shop", "17", map[string]any{"order": key})
		r.Entity = engine.Entity{Kind: engine.KindHook, ID: "shop:17"}
		_, err := r.Do(t.Context(), set.Rules[0])
		if want == "" && (err != nil || len(saved) != 1) {
			t.Errorf("%q: %v, %d writes", key, err, len(saved))
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want) || len(saved) != 0) {
			t.Errorf("%q: %v, %d writes, want %s", key, err, len(saved), want)
		}
	}
}
