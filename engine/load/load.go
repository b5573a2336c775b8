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
	return FileFor(name, data, actions, nil)
}

// FileFor is File for a portal of which something is known; see compile.FileFor.
func FileFor(name string, data []byte, actions []*engine.Action, portal *engine.Known) (*engine.RuleSet, diag.List) {
	set, list := compile.FileFor(name, data, actions, portal)
	if set == nil {
		return nil, list
	}
	list = append(list, lint.File(set)...)
	if list.Sort(); list.HasErrors() {
		return nil, list
	}
	return set, list
}
