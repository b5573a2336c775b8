package value

import (
	"strings"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// UpperKeys is what legacy methods do to the names of their parameters.
func UpperKeys(params *php.Array) *php.Array {
	upper := php.NewArray()
	for name, v := range params.All() {
		upper.Set(strings.ToUpper(name), v)
	}
	return upper
}

// UpperFields are fields of a call by their upper-case names.
func UpperFields(v any) Fields {
	input, _ := Array(v)
	g := Fields{}
	for name, v := range input.All() {
		g[strings.ToUpper(name)] = v
	}
	return g
}

func Either(a *php.Array, names ...string) (any, bool) {
	for _, name := range names {
		if v, ok := a.Get(name); ok {
			return v, true
		}
	}
	return nil, false
}

// Fields are the fields of a row as a call gives them, by stored name.
type Fields map[string]any

func (g Fields) Num(name string, places int, into *num.Num) {
	if v, ok := g[name]; ok {
		*into = Num(v).Round(places)
	}
}

func (g Fields) Int(name string, into *int64) {
	if v, ok := g[name]; ok {
		*into = Int(v)
	}
}
