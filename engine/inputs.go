package engine

import (
	"maps"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// InputProblem is a mistake in the inputs of a portal's configuration.
type InputProblem struct {
	// Name is the name of the input.
	Name string
	// Finding says what is wrong. It has no place, because only the configuration
	// knows it.
	Finding diag.Finding
}

// NewInputProblem returns a problem with an input. Callers may set a hint in its
// finding.
func NewInputProblem(name, format string, args ...any) InputProblem {
	var l diag.List
	return InputProblem{name, *l.Errorf(diag.Pos{}, "bad-input", format, args...)}
}

// BindInputs checks the values that a portal's configuration gives for the set's
// inputs. It returns the values for formulas. given holds the text of YAML scalars.
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
		v, wrong := in.parse(text)
		if !wrong.Empty() {
			p := NewInputProblem(in.Name, "input %s of rule set %s must be %s", in.Name, s.Name, wrong)
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

// parse returns the value of a text. wrong says what it must be, and is empty when the
// text fits.
func (in Input) parse(text string) (value any, wrong diag.Phrase) {
	switch in.Type {
	case "integer", "number":
		x, err := num.Parse(text)
		switch {
		case in.Type == "integer" && (err != nil || !x.IsInt()):
			return nil, diag.Phrasef("an integer, not %q", text)
		case err != nil:
			return nil, diag.Phrasef("a number, not %q", text)
		}
		return x, diag.Phrase{}
	case "boolean":
		if text != "true" && text != "false" {
			return nil, diag.Phrasef("true or false, not %q", text)
		}
		return text == "true", diag.Phrase{}
	case TypeSecret:
		if len(text) < minSecret {
			return nil, diag.Phrasef("a secret of at least %d characters, not of %d", minSecret, len(text))
		}
		return bitrix.Secret(text), diag.Phrase{}
	}
	return text, diag.Phrase{}
}

// minSecret is the least length of a secret. A shorter one could be part of other text
// in an answer, and hiding it would destroy that text.
const minSecret = 6
