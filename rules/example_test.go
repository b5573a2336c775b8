package rules_test

import (
	"fmt"
	"io/fs"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/rules"
)

func Example() {
	files, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, file := range files {
		data, err := fs.ReadFile(rules.FS, file)
		if err != nil {
			fmt.Println(err)
			return
		}
		set, _ := load.File(file, data, actions.All)
		for _, rule := range set.Rules {
			fmt.Printf("%s: rule %s for %s\n", file, rule.ID, rule.Triggers[0].Code)
		}
	}
	// Output:
	// deal-shipments.yaml: rule deal-shipments for ONCRMDEALADD
	// invoice-total.yaml: rule invoice-total for ONCRMDYNAMICITEMADD
}
