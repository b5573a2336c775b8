package actions_test

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
)

func Example() {
	set, findings := load.File("totals.yaml", []byte(`version: 1
rules:
  totals:
    on: ONCRMDEALUPDATE
    steps:
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - update_item:
          owner: deal
          id: =event.id
          fields: {ufCrm_TOTAL: '=sum(rows, .price * .quantity)'}
`), actions.All)
	fmt.Println(len(findings), "findings")
	for _, step := range set.Rules[0].Steps {
		doc, _, _ := strings.Cut(step.Action.Doc, "\n")
		fmt.Println(step.Action.Name + ": " + doc)
	}

	_, findings = load.File("totals.yaml", []byte(`version: 1
rules:
  totals:
    on: ONCRMDEALUPDATE
    steps:
      - fetch_product: {owner: deal, id: =event.id}
`), actions.All)
	fmt.Println(findings[0])
	// Output:
	// 0 findings
	// fetch_products: read the product rows of a deal, a lead, an estimate, an invoice or an item
	// update_item: update fields of one item of the CRM
	// totals.yaml:6:9: unknown action or option "fetch_product" [unknown-action] (did you mean fetch_products?)
}
