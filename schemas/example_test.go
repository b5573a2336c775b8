package schemas_test

import (
	"fmt"

	"github.com/b24rules/b24rules/schemas"
)

func Example() {
	event, entityType, _ := schemas.LookupEvent("ONCRMDYNAMICITEMUPDATE_1072")
	fmt.Println(event.Code, event.Entity, event.Op, event.IDs, entityType)

	method, known := schemas.LookupMethod("crm.item.update")
	fmt.Println(method.Effect, known)

	fmt.Println(schemas.OwnerByType(1072).Short)

	for _, f := range schemas.ItemFields(schemas.TypeDeal) {
		if f.Name == "opportunity" {
			fmt.Println(f.Type, f.ReadOnly)
		}
	}
	// Output:
	// ONCRMDYNAMICITEMUPDATE item update [FIELDS.ID] 1072
	// write true
	// T430
	// double false
}
