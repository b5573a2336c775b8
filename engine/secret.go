package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// TypeSecret is the type of inputs whose values are filled in when a request is
// sent and stand nowhere else.
const TypeSecret = "secret"

// minSecret is how long a secret must be: a shorter one could not be told from
// other text where an answer repeats it.
const minSecret = 6

// SecretText is text that may hold secrets. However it is printed, formatted or
// marshalled, it reads as text with <secret> in it.
type SecretText struct{ text, shown string }

// PlainText is a text without secrets.
func PlainText(text string) SecretText { return SecretText{text, text} }

// Reveal returns the text itself, for the one place that sends it.
func (s SecretText) Reveal() string { return s.text }

// String is the text with its secrets hidden.
func (s SecretText) String() string { return s.shown }

// Format hides the secrets from every verb.
func (s SecretText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.shown)) }

// MarshalText hides the secrets from JSON, YAML and the like.
func (s SecretText) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// SecretField is one named value of SecretFields.
type SecretField struct {
	Name  string
	Value SecretText
}

// SecretFields are named texts in the order of the file, which may hold secrets:
// the headers of a request. An argument takes secrets if it is of this type.
type SecretFields []SecretField

// Shown are the fields with their secrets hidden.
func (f SecretFields) Shown() map[string]any {
	out := make(map[string]any, len(f))
	for _, x := range f {
		out[x.Name] = x.Value.String()
	}
	return out
}

// MarshalJSON writes the fields with their secrets hidden.
func (f SecretFields) MarshalJSON() ([]byte, error) { return json.Marshal(f.Shown()) }

// checkSecrets refuses secrets in a formula: its value would carry them into
// fields, texts and histories. of names the value's formula or its hole.
func (c *checker) checkSecrets(n *yaml.Node, paths []string) bool {
	for _, p := range paths {
		name, ok := strings.CutPrefix(p, NameInputs+".")
		name, _, _ = strings.Cut(name, ".")
		switch {
		case p == NameInputs && len(c.secrets) > 0:
			c.errorf(n, "misplaced-secret", "inputs as a whole hold the secret %s, which no formula may see", c.secrets[0]).Hint = "name the one that is meant"
			return false
		case ok && slices.Contains(c.secrets, name):
			f := c.errorf(n, "misplaced-secret", "inputs.%s is a secret: it may stand only in text that is sent as it is, such as a header of http_post, and in no formula", name)
			f.Hint = "http_post: {headers: {Authorization: 'Bearer {{ inputs." + name + " }}'}}"
			return false
		}
	}
	return true
}

// isSecret reports whether a formula is a secret and nothing else.
func (c *checker) isSecret(source string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(source), NameInputs+".")
	return ok && slices.Contains(c.secrets, name)
}

// secretsIn checks the formulas of a value. Where the place takes secrets, one
// may stand alone in it or in a hole of a text.
func (c *checker) secretsIn(v *Value, w want, env formula.Env) bool {
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

// secretText computes a text that may hold secrets: once with them, and once as
// it may be shown.
func (v *Value) secretText(ctx context.Context, sc Scope) (SecretText, error) {
	inputs, _ := sc.Vars[NameInputs].(map[string]any)
	open, hidden := maps.Clone(inputs), maps.Clone(inputs)
	if open == nil {
		open, hidden = map[string]any{}, map[string]any{}
	}
	for name, s := range sc.Secrets {
		open[name], hidden[name] = s.Reveal(), s.String()
	}
	var out SecretText
	for _, part := range []struct {
		inputs map[string]any
		into   *string
	}{{hidden, &out.shown}, {open, &out.text}} {
		x, err := v.Eval(ctx, sc.Child(map[string]any{NameInputs: part.inputs}))
		if err != nil {
			return SecretText{}, err
		}
		if *part.into, err = formula.ToText(x); err != nil {
			return SecretText{}, v.Errorf("%w", err)
		}
	}
	return out, nil
}

// EvalSecrets computes named texts that may hold secrets.
func (f *FieldsValue) EvalSecrets(ctx context.Context, sc Scope) (SecretFields, error) {
	names, err := f.EvalNames(ctx, sc)
	if err != nil {
		return nil, err
	}
	out := make(SecretFields, 0, len(f.Entries))
	for i, e := range f.Entries {
		if slices.ContainsFunc(out, func(x SecretField) bool { return strings.EqualFold(x.Name, names[i].Name) }) {
			return nil, e.Key.Errorf("the name %q comes out twice", names[i].Name)
		}
		text, err := e.Value.secretText(ctx, sc)
		if err != nil {
			return nil, err
		}
		out = append(out, SecretField{Name: names[i].Name, Value: text})
	}
	return out, nil
}

// splitSecrets parts the values of inputs into those that formulas see and the
// secrets.
func splitSecrets(inputs map[string]any) (seen map[string]any, secrets map[string]bitrix.Secret) {
	for name, v := range inputs {
		s, ok := v.(bitrix.Secret)
		if !ok {
			continue
		}
		if secrets == nil {
			seen, secrets = maps.Clone(inputs), map[string]bitrix.Secret{}
		}
		secrets[name] = s
		delete(seen, name)
	}
	if secrets == nil {
		return inputs, nil
	}
	return seen, secrets
}

// secretReplacer takes secrets out of a text, also of one that is JSON. It is
// nil without secrets.
func secretReplacer(secrets map[string]bitrix.Secret) *strings.Replacer {
	if len(secrets) == 0 {
		return nil
	}
	var texts []string
	for _, s := range secrets {
		quoted, _ := json.Marshal(s.Reveal()) // text can always be written
		texts = append(texts, s.Reveal(), string(quoted[1:len(quoted)-1]))
	}
	// One may begin with another.
	slices.SortFunc(texts, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, text := range texts {
		pairs = append(pairs, text, bitrix.Secret(text).String())
	}
	return strings.NewReplacer(pairs...)
}
