package docs_test

import (
	"fmt"

	"github.com/b24rules/b24rules/docs"
)

func ExampleFinding() {
	_, known := docs.Finding("unknown-key")
	fmt.Println(known)
	_, known = docs.Finding("unknown-kee")
	fmt.Println(known)
	// Output:
	// true
	// false
}
