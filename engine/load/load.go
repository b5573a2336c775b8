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
	set, _, list := summarized(name, data, actions, portal)
	return set, list
}

// Summarized is File with the summary of the set, for checks with other files.
func Summarized(name string, data []byte, actions []*engine.Action) (*engine.RuleSet, *lint.Summary, diag.List) {
	return summarized(name, data, actions, nil)
}

func summarized(name string, data []byte, actions []*engine.Action, portal *engine.Known) (*engine.RuleSet, *lint.Summary, diag.List) {
	set, list := compile.FileFor(name, data, actions, portal)
	if set == nil {
		return nil, nil, list
	}
	summary, found := lint.File(set)
	list = append(list, found...)
	if list.Sort(); list.HasErrors() {
		return nil, nil, list
	}
	return set, summary, list
}
