package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/formula"
)

// TypeSecret is the type of inputs that are secrets. Their values appear only in the
// requests that need them.
const TypeSecret = "secret"

// SecretText is text that may hold secrets. Printing, formatting and marshalling write
// <secret> instead of each secret.
type SecretText struct{ text, shown string }

// PlainText is a text without secrets.
func PlainText(text string) SecretText { return SecretText{text, text} }

// Reveal returns the text with its secrets. Only the code that sends it may use it.
func (s SecretText) Reveal() string { return s.text }

// String returns the text with its secrets hidden.
func (s SecretText) String() string { return s.shown }

// Format hides the secrets for every verb of package fmt.
func (s SecretText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.shown)) }

// MarshalText hides the secrets in JSON, YAML and other encodings.
func (s SecretText) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// SecretField is one named value of SecretFields.
type SecretField struct {
	Name  string
	Value SecretText
}

// SecretFields are named texts in the order of the file, such as the headers of a
// request. An argument of this type takes secrets.
type SecretFields []SecretField

// Shown returns the fields with their secrets hidden.
func (f SecretFields) Shown() map[string]any {
	out := make(map[string]any, len(f))
	for _, x := range f {
		out[x.Name] = x.Value.String()
	}
	return out
}

// MarshalJSON writes the fields with their secrets hidden.
func (f SecretFields) MarshalJSON() ([]byte, error) { return json.Marshal(f.Shown()) }

// secretText computes a text that may hold secrets, with them and without.
func (v *Value) secretText(ctx context.Context, sc Scope) (SecretText, error) {
	inputs, _ := sc.Vars[NameInputs].(map[string]any)
	open, hidden := maps.Clone(inputs), maps.Clone(inputs)
	if open == nil {
		open, hidden = map[string]any{}, map[string]any{}
	}
	for name, s := range sc.Secrets {
		open[name], hidden[name] = s.Reveal(), s.String()
	}
	eval := v.Eval
	if v.Template != nil && v.readsSecret(sc) {
		eval = func(_ context.Context, sc Scope) (any, error) {
			text, err := v.Template.EvalEscaped(sc.Machine, sc.Vars, escapeNextToSecret)
			return text, v.placed(err, 0)
		}
	}
	var out SecretText
	for _, part := range []struct {
		inputs map[string]any
		into   *string
	}{{hidden, &out.shown}, {open, &out.text}} {
		x, err := eval(ctx, sc.Child(map[string]any{NameInputs: part.inputs}))
		if err != nil {
			return SecretText{}, err
		}
		if *part.into, err = formula.ToText(x); err != nil {
			return SecretText{}, v.Errorf("%w", err)
		}
	}
	return out, nil
}

// readsSecret reports whether a text includes a secret.
func (v *Value) readsSecret(sc Scope) bool {
	return slices.ContainsFunc(v.Template.Paths(), func(p string) bool {
		name, ok := strings.CutPrefix(p, NameInputs+".")
		_, secret := sc.Secrets[name]
		return ok && secret
	})
}

// escapeNextToSecret percent-encodes data in the same text as a secret, so that it cannot
// end the secret or add to it.
func escapeNextToSecret(_, text string) (string, error) {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20"), nil
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
			return nil, e.Key.Errorf("two fields have the name %q", names[i].Name)
		}
		text, err := e.Value.secretText(ctx, sc)
		if err != nil {
			return nil, err
		}
		out = append(out, SecretField{Name: names[i].Name, Value: text})
	}
	return out, nil
}
