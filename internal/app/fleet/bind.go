package fleet

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
)

// bind gives a rule set its inputs in a portal.
func bind(set *engine.RuleSet, p config.Portal) (*Instance, diag.List) {
	here, ok := p.Inputs.Set(set.Name)
	if !ok {
		here.Pos = p.Pos
	}
	given, list := inputsFor(set, p.Inputs, here)
	values, problems := set.BindInputs(given)
	if len(problems) == 0 {
		problems = lint.BindProblems(set, values)
	}
	for _, problem := range problems {
		known := slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == problem.Name })
		f := problem.Finding
		f.Pos, f.Message, f.Args = here.Place(problem.Name, known), "portal %s: "+f.Message, append([]any{p.Name}, f.Args...)
		list.Add(f)
	}
	return &Instance{Set: set, Inputs: values}, list
}

// isFor reports whether a rule set has a rule for a portal.
func isFor(set *engine.RuleSet, portal string) bool {
	return slices.ContainsFunc(set.Rules, func(r *engine.Rule) bool { return r.Serves(portal) })
}

// inputsFor returns the given inputs of a rule set. In secrets it replaces ${x} by a
// variable of the environment; in other inputs ${x} is text.
func inputsFor(set *engine.RuleSet, all config.Inputs, given config.SetInputs) (map[string]string, diag.List) {
	out := given.Values()
	var list diag.List
	for _, in := range set.Inputs {
		text, ok := out[in.Name]
		if ok && in.Type != engine.TypeSecret && strings.Contains(text, "${") {
			list.Warnf(given.Place(in.Name, true), "invalid-value", "the input %s is not a secret, so ${ in it is text", in.Name).
				Hint = "write the value itself"
		}
		if in.Type != engine.TypeSecret || !ok {
			continue
		}
		filled, missing := all.Expand(text)
		for _, name := range missing {
			list.Errorf(given.Place(in.Name, true), "missing-variable", "%s", config.MissingVariable(name))
		}
		if len(missing) == 0 { // otherwise the text stays, it is no secret
			out[in.Name] = strings.TrimSpace(filled)
		}
	}
	return out, list
}
