package run

import (
	"context"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
)

// TestDeletedFields: a field that records of a place have had fails where a formula reads it,
// however it does, and only there.
func TestDeletedFields(t *testing.T) {
	t.Parallel()
	var f Fields
	f.markDeleted("items 2", map[string]any{"ufCrmA": "x", "ufCrmB": nil}, []string{"ufCrmA", "ufCrmB"})
	deal := map[string]any{"title": "Roof", "ufCrmB": nil}
	f.markDeleted("items 2", deal, []string{"ufCrmB"})
	other := map[string]any{"title": "Roof"}
	f.markDeleted("items 31", other, nil)
	for source, fails := range map[string]bool{
		`deal.ufCrmA`: true, `deal.ufCrmA ?? 1`: true, `deal?.ufCrmA ?? 1`: true, `deal["ufCrmA"] ?? 1`: true, `[deal] | map(.ufCrmA ?? 1)`: true,
		`values(deal)`: true, `toPairs(deal)`: true, `get(deal, "ufCrmA") ?? 1`: true, `uniq([deal, other])`: true,
		`isEmpty(deal?.ufCrmA)`: true, `deal?.ufCrmA == nil`: true, `[deal?.ufCrmA]`: true, `deal?.[lower("ufCrmA")[0:0] + "ufCrmA"] ?? 1`: true, `{a: deal} == {a: deal}`: true,
		`values(other)`: false, `keys(deal)`: false, `other == {title: "Roof"}`: false,
		`deal.ufCrmB ?? 1`: false, `deal.title`: false, `other.ufCrmA ?? 1`: false,
	} {
		compiled, problems := formula.Compile(source, formula.Env{Vars: map[string]formula.Type{"deal": {Kind: formula.Any}, "other": {Kind: formula.Any}}})
		if len(problems) > 0 {
			t.Errorf("%s: %v", source, problems)
			continue
		}
		_, err := compiled.Eval(formula.NewMachine(context.Background()), map[string]any{"deal": deal, "other": other})
		if (err != nil) != fails || fails && !strings.Contains(err.Error(), "ufCrmA") {
			t.Errorf("%s: %v, want an error %v", source, err, fails)
		}
	}
	(*Fields)(nil).markDeleted("items 2", deal, nil)
}
