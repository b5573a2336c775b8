package lint

import (
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// BindProblems reports cycles that only the inputs of a portal reveal: the type of
// helper items is the type whose events the rule subscribes to.
func BindProblems(s *engine.RuleSet, inputs map[string]any) []engine.InputProblem {
	var out []engine.InputProblem
	for _, r := range s.Rules {
		for _, a := range writesOf(r, inputs) {
			name, ok := a.byInput()
			if !ok || !a.Adds || a.Kind != engine.TouchItems || a.typ == 0 || !newFlow(r).grows(&a) {
				continue
			}
			if subscriptionOf(r).takes(a.typ, schemas.OpAdd) {
				out = append(out, engine.NewInputProblem(name, "rule %s would trigger itself: it subscribes to items of type %d and adds items of that type", r.ID, a.typ))
			}
		}
	}
	return out
}

// byInput returns the input that alone names the type. ok is false when no single
// input does.
func (a *access) byInput() (string, bool) {
	arg := a.step.Types.Arg(a.Of)
	if arg == nil || arg.Value == nil || arg.Value.Formula == nil {
		return "", false
	}
	return strings.CutPrefix(arg.Value.Formula.Source(), engine.NameInputs+".")
}
