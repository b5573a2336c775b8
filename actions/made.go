package actions

import "github.com/b24rules/b24rules/actions/internal/plan"

// MadeElement reports whether the code of a list element is one that rules give to the elements
// that they make.
func MadeElement(code string) bool { return plan.Made(code) }
