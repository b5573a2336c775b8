package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// InputProblem is an input of a portal's configuration that does not fit.
type InputProblem struct {
	// Name is that of the input.
	Name string
	// Finding says what is wrong. It has no place: the configuration knows it.
	Finding diag.Finding
}

// NewInputProblem returns a problem with an input. Its finding is for setting a hint.
func NewInputProblem(name, format string, args ...any) InputProblem {
	var l diag.List
	return InputProblem{name, *l.Errorf(diag.Pos{}, "bad-input", format, args...)}
}

// BindInputs checks what a portal's configuration says for the set's inputs
// and returns the values that formulas see. given holds YAML scalars' text.
func (s *RuleSet) BindInputs(given map[string]string) (map[string]any, []InputProblem) {
	var problems []InputProblem
	names := make([]string, 0, len(s.Inputs))
	out := make(map[string]any, len(s.Inputs))
	for _, in := range s.Inputs {
		names = append(names, in.Name)
		text, ok := given[in.Name]
		if !ok {
			if !in.HasDefault {
				p := NewInputProblem(in.Name, "input %s (%s) of rule set %s is not set", in.Name, in.Type, s.Name)
				p.Finding.Hint = in.Title
				problems = append(problems, p)
			}
			out[in.Name] = in.Default
			continue
		}
		v, err := in.parse(text)
		if err != nil {
			p := NewInputProblem(in.Name, "input %s of rule set %s: %s", in.Name, s.Name, err)
			p.Finding.Hint = in.Title
			problems = append(problems, p)
		}
		out[in.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			p := NewInputProblem(name, "rule set %s has no input %s", s.Name, name)
			p.Finding.Suggest(name, names)
			problems = append(problems, p)
		}
	}
	return out, problems
}

func (in Input) parse(text string) (any, error) {
	switch in.Type {
	case "integer", "number":
		x, err := num.Parse(text)
		if err != nil || (in.Type == "integer" && !x.IsInt()) {
			return nil, &typeError{want: in.Type, got: text}
		}
		return x, nil
	case "boolean":
		if text != "true" && text != "false" {
			return nil, &typeError{want: "true or false", got: text}
		}
		return text == "true", nil
	}
	if in.Type == TypeSecret {
		if len(text) < minSecret {
			return nil, fmt.Errorf("a secret has at least %d characters, this one has %d", minSecret, len(text))
		}
		return bitrix.Secret(text), nil
	}
	return text, nil
}

type typeError struct{ want, got string }

func (e *typeError) Error() string { return "want " + e.want + ", got " + strconv.Quote(e.got) }

// minSecret is how long a secret must be: a shorter one could not be told from
// other text where an answer repeats it.
const minSecret = 6
