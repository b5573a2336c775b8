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

// codePrefix is the start of every ELEMENT_CODE that a rule makes.
const codePrefix = "b24r-"

// Codes makes the codes of one owner's elements in one scope. Codes make a
// repeated add harmless, because a list refuses a code that it already has.
type Codes struct{ prefix string }

// NewCodes uses the PROPERTY_n of the scope's properties, so that the codes do not
// depend on the names in a rule file.
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

// Owns reports whether a code belongs to this owner and scope.
func (o Codes) Owns(code string) bool { return strings.HasPrefix(code, o.prefix) }

// digest hashes parts with their lengths, so that different lists of parts have
// different hashes.
func digest(parts []string, bytes int) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:bytes])
}

// KeyText writes a key as text. Empty values, lists and records are errors.
func KeyText(v any) (string, error) {
	if n, ok := v.(num.Num); ok {
		return n.String(), nil
	}
	text, err := formula.ToText(v)
	if err != nil || text == "" {
		return "", fmt.Errorf("a key must be a number or a text that is not empty")
	}
	return text, nil
}

// Made reports whether any rule made the element with a code.
func Made(code string) bool {
	return strings.HasPrefix(code, codePrefix)
}
