package plan

import (
	"cmp"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
)

// Limits are the constant limits of a filter, by the names of the fields.
type Limits map[string][]limit

type limit struct {
	operator string
	value    any
}

// Add adds a limit of a field. It returns an earlier one if no value fulfils both, "" otherwise.
func (l Limits) Add(f *value.Field, operator string, v any) (other string) {
	if strings.Trim(operator, "<>=") != "" {
		return ""
	}
	for _, o := range l[f.Name] {
		order, known := f.Order(v, o.value)
		if known && (order > 0 && hasEnd(o.operator) && hasStart(operator) || order < 0 && hasStart(o.operator) && hasEnd(operator)) {
			return cmp.Or(o.operator, "=") + value.TextOf(o.value)
		}
	}
	l[f.Name] = append(l[f.Name], limit{operator, v})
	return ""
}

// hasEnd and hasStart report whether a condition excludes all that is greater, or smaller, than
// its value.
func hasEnd(operator string) bool   { return !strings.HasPrefix(operator, ">") }
func hasStart(operator string) bool { return !strings.HasPrefix(operator, "<") }
