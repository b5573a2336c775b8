package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// codePrefix begins every ELEMENT_CODE that a rule made.
const codePrefix = "b24r-"

// Codes makes the codes of one owner's elements in one scope. The codes are
// what makes a repeated add harmless: a list refuses a code that it has.
type Codes struct{ prefix string }

// NewCodes takes the scope's properties by their PROPERTY_n, so that it does
// not matter what a rule file calls them.
func NewCodes(owner string, scope []FieldValue) Codes {
	parts := make([]string, 0, len(scope))
	for _, w := range scope {
		parts = append(parts, w.Field.Name+"="+w.Field.Canonical(w.Value))
	}
	slices.Sort(parts)
	return Codes{codePrefix + digest(append([]string{owner}, parts...), 6) + "-"}
}

// Of returns the code of one key.
func (o Codes) Of(key string) string { return o.prefix + digest([]string{key}, 8) }

// Owns reports whether a code is one of these.
func (o Codes) Owns(code string) bool { return strings.HasPrefix(code, o.prefix) }

// digest hashes parts so that no two lists of parts meet by their joints.
func digest(parts []string, bytes int) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:bytes])
}

// KeyText writes a key down; nothing, lists and records identify nothing.
func KeyText(v any) (string, error) {
	if n, ok := v.(num.Num); ok {
		return n.String(), nil
	}
	text, err := formula.ToText(v)
	if err != nil || text == "" {
		return "", fmt.Errorf("a key must be a number or text that is not empty")
	}
	return text, nil
}

// made reports whether a rule, this one or another, made an element.
func made(code string) bool {
	return strings.HasPrefix(code, codePrefix)
}
