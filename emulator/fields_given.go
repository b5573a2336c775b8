package emulator

import (
	"strings"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// upperKeys is what legacy methods do to the names of their parameters.
func upperKeys(params *php.Array) *php.Array {
	upper := php.NewArray()
	for name, v := range params.All() {
		upper.Set(strings.ToUpper(name), v)
	}
	return upper
}

// upperGiven are fields of a call by their upper-case names.
func upperGiven(v any) given {
	input, _ := asArray(v)
	g := given{}
	for name, v := range input.All() {
		g[strings.ToUpper(name)] = v
	}
	return g
}

func either(a *php.Array, names ...string) (any, bool) {
	for _, name := range names {
		if v, ok := a.Get(name); ok {
			return v, true
		}
	}
	return nil, false
}

// given are the fields of a row as a call gives them, by stored name.
type given map[string]any

func (g given) num(name string, places int, into *num.Num) {
	if v, ok := g[name]; ok {
		*into = toNum(v).Round(places)
	}
}

func (g given) int(name string, into *int64) {
	if v, ok := g[name]; ok {
		*into = toInt(v)
	}
}
