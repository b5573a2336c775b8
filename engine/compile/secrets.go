package compile

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"gopkg.in/yaml.v3"
)

// checkSecrets refuses secrets in a formula: its value would carry them into
// fields, texts and histories. of names the value's formula or its hole.
func (c *values) checkSecrets(n *yaml.Node, paths []string) bool {
	for _, p := range paths {
		name, ok := strings.CutPrefix(p, engine.NameInputs+".")
		name, _, _ = strings.Cut(name, ".")
		switch {
		case p == engine.NameInputs && len(c.secrets) > 0:
			c.Errorf(n, "misplaced-secret", "inputs as a whole hold the secret %s, which no formula may see", c.secrets[0]).Hint = "name the one that is meant"
			return false
		case ok && slices.Contains(c.secrets, name):
			f := c.Errorf(n, "misplaced-secret", "inputs.%s is a secret: it may stand only in text that is sent as it is, and in no formula", name)
			if action, arg := c.takesSecrets(); action != "" {
				f.Message = "inputs.%s is a secret: it may stand only in text that is sent as it is, such as %s of %s, and in no formula"
				f.Args = append(f.Args, arg, action)
				f.Hintf("%s: {%s: {Authorization: 'Bearer {{ inputs.%s }}'}}", action, arg, name)
			}
			return false
		}
	}
	return true
}

// takesSecrets names an action and its argument where secrets may stand.
func (c *values) takesSecrets() (action, arg string) {
	for _, a := range c.known {
		for _, f := range a.Arguments.Fields {
			if f.Kind == engine.ArgSecrets {
				return a.Name, f.Name
			}
		}
	}
	return "", ""
}

// isSecret reports whether a formula is a secret and nothing else.
func (c *values) isSecret(source string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(source), engine.NameInputs+".")
	return ok && slices.Contains(c.secrets, name)
}

// secretsIn checks the formulas of a value. Where the place takes secrets, one
// may stand alone in it or in a hole of a text.
func (c *values) secretsIn(v *engine.Value, w want, env formula.Env) bool {
	if v.Formula != nil {
		return w.secret && c.isSecret(v.Formula.Source()) || c.checkSecrets(v.Node, v.Formula.Paths())
	}
	if !w.secret {
		return c.checkSecrets(v.Node, v.Template.Paths())
	}
	for _, source := range v.Template.Sources() {
		if c.isSecret(source) {
			continue
		}
		if f, problems := formula.Compile(source, env); len(problems) == 0 && !c.checkSecrets(v.Node, f.Paths()) {
			return false
		}
	}
	return true
}
