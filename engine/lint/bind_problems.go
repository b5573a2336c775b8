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
		for _, e := range effectsOf(r, inputs) {
			name, ok := e.byInput()
			if !ok || !e.Adds || e.Kind != engine.TouchItems || e.typ == 0 || !e.grows() {
				continue
			}
			if _, subscribed := subscribesTo(r, e.typ, schemas.OpAdd); subscribed {
				out = append(out, engine.NewInputProblem(name, "rule %s would trigger itself: it subscribes to items of type %d and adds items of that type", r.ID, e.typ))
			}
		}
	}
	return out
}

// byInput returns the input that alone names the type. ok is false when no single
// input does.
func (e *effect) byInput() (string, bool) {
	a := e.step.Types.Arg(e.Of)
	if a == nil || a.Value == nil || a.Value.Formula == nil {
		return "", false
	}
	return strings.CutPrefix(a.Value.Formula.Source(), engine.NameInputs+".")
}
