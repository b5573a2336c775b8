package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/ruletest"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/rules"
)

// TestManyProducts reads the prices of 120 products, which the portal answers in pages of 50.
func TestManyProducts(t *testing.T) {
	const products = 120
	var rows, answers strings.Builder
	for from := 1; from <= products; from += 50 {
		var ids, page []string
		for id := from; id < from+50 && id <= products; id++ {
			fmt.Fprintf(&rows, "{productId: %d, price: 3, quantity: 1}, ", id)
			ids = append(ids, fmt.Sprint(id))
			page = append(page, fmt.Sprintf("{id: %d, purchasingPrice: %d, purchasingCurrency: EUR}", id, 1+from/100))
		}
		fmt.Fprintf(&answers, "      - catalog.product.list: {params: {filter: {iblockId: 14, id: [%s]}}, answer: {products: [%s]}}\n",
			strings.Join(ids, ", "), strings.Join(page, ", "))
	}
	dir := t.TempDir()
	set, _ := rules.Find("deal-margin")
	for name, data := range map[string][]byte{
		"deal-margin.yaml": set.Rules,
		"deal-margin_test.yaml": []byte(`
portal: {deals: {ufCrm_MARGIN: double, ufCrm_MARGIN_PCT: double}}
inputs: {catalog: 14}
tests:
  - name: many products
    given: {deals: {7: {currencyId: EUR, rows: [` + rows.String() + `]}}}
    event: ONCRMDEALUPDATE 7
    answers:
` + answers.String() + `
    expect: {deals: {7: {ufCrm_MARGIN: 220, ufCrm_MARGIN_PCT: 61.1}}}
`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests, files, err := testfile.Find([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	report, err := ruletest.Run(t.Context(), tests, files, ruletest.Options{Actions: actions.All})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() {
		var out strings.Builder
		_ = ruletest.WriteText(&out, report, ruletest.TextOptions{})
		t.Error(out.String())
	}
}
