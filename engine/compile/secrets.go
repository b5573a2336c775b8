package compile

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"gopkg.in/yaml.v3"
)

// checkSecrets reports secrets in a formula. Its value would carry them into fields,
// texts and histories.
func (c *values) checkSecrets(n *yaml.Node, paths []string) bool {
	for _, p := range paths {
		name, ok := strings.CutPrefix(p, engine.NameInputs+".")
		name, _, _ = strings.Cut(name, ".")
		switch {
		case p == engine.NameInputs && len(c.secrets) > 0:
			c.Errorf(n, "misplaced-secret", "a formula cannot read all inputs, because %s is a secret", c.secrets[0]).Hint = "read one input by its name"
			return false
		case ok && slices.Contains(c.secrets, name):
			f := c.Errorf(n, "misplaced-secret", "a formula cannot read inputs.%s, because it is a secret", name)
			if action, arg := c.takesSecrets(); action != "" {
				f.Hintf("%s: {%s: {Authorization: 'Bearer {{ inputs.%s }}'}}", action, arg, name)
			}
			return false
		}
	}
	return true
}

// takesSecrets returns an action with an argument that takes secrets.
func (c *values) takesSecrets() (action, arg string) {
	for _, a := range c.actions {
		for _, f := range a.Arguments.Fields {
			if f.Kind == engine.ArgSecrets {
				return a.Name, f.Name
			}
		}
	}
	return "", ""
}

// isSecret reports whether a formula is only the name of a secret.
func (c *values) isSecret(source string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(source), engine.NameInputs+".")
	return ok && slices.Contains(c.secrets, name)
}

// secretsIn checks the formulas of a value for secrets. A place that takes secrets
// takes one as the whole value or as the whole formula in {{ }}.
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

// secretNames are names of values that are secrets, in lower case and with - between words.
var secretNames = []string{
	"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "apikey", "x-auth-token", "x-access-token", "x-token", "token",
	"access-token", "api-token", "auth-token", "secret", "client-secret", "api-secret", "secret-key", "access-key", "private-key", "password",
}

// checkSecretNames checks the names in a value that may hold secrets.
func (c *values) checkSecretNames(v *engine.Value) {
	for _, e := range v.List {
		c.checkSecretNames(e)
	}
	if v.Record == nil {
		return
	}
	c.literalSecrets(v.Record)
	for _, e := range v.Record.Entries {
		c.checkSecretNames(e.Value)
	}
}

// literalSecrets warns of secrets that the rule file itself holds.
func (c *values) literalSecrets(f *engine.FieldsValue) {
	for _, e := range f.Entries {
		name, _ := e.Key.Literal.(string)
		text, isText := e.Value.Literal.(string)
		if isText && text != "" && slices.Contains(secretNames, strings.ReplaceAll(strings.ToLower(name), "_", "-")) {
			c.Warnf(e.Value.Node, "secret-in-file", "the rule file holds the secret value of %s, and everybody who reads the file can use it", name).
				Hint = "inputs: {token: {type: secret}}, and write {{ inputs.token }}"
		}
	}
}
