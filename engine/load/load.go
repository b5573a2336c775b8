package load

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/compile"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/diag"
)

// File reads one rule file. The findings are sorted by place; when one of them is
// an error, the set is nil.
func File(name string, data []byte, actions []*engine.Action) (*engine.RuleSet, diag.List) {
	set, list := compile.File(name, data, actions)
	if set == nil {
		return nil, list
	}
	list = append(list, lint.File(set)...)
	if list.Sort(); list.HasErrors() {
		return nil, list
	}
	return set, list
}
