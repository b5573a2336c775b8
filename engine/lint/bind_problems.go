package lint

import (
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// BindProblems reports loops that only a portal's inputs make visible: a helper
// type that is the very type the rule hears.
func BindProblems(s *engine.RuleSet, inputs map[string]any) []engine.InputProblem {
	var out []engine.InputProblem
	for _, r := range s.Rules {
		for _, e := range effectsOf(r, inputs) {
			name, ok := e.byInput()
			if !ok || !e.Adds || e.Kind != engine.TouchItems || e.typ == 0 || !e.grows() {
				continue
			}
			if _, hears := subscribesTo(r, e.typ, schemas.OpAdd); hears {
				out = append(out, engine.NewInputProblem(name, "rule %s would start itself: it hears the items of type %d and adds items of the same type", r.ID, e.typ))
			}
		}
	}
	return out
}

// byInput tells the input that alone names the type, if one does.
func (e *effect) byInput() (string, bool) {
	a := e.step.Types.Arg(e.Of)
	if a == nil || a.Value == nil || a.Value.Formula == nil {
		return "", false
	}
	return strings.CutPrefix(a.Value.Formula.Source(), engine.NameInputs+".")
}
