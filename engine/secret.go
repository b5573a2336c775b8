package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
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

// NewSecretText returns a text that is shown as another one.
func NewSecretText(text, shown string) SecretText { return SecretText{text, shown} }

// Showing returns another text that is shown as s.
func (s SecretText) Showing(text string) SecretText { return SecretText{text, s.shown} }

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

// hiddenSecret is what is shown instead of a secret.
var hiddenSecret = bitrix.Secret("-").String()

// SecretValue is a value that may hold secrets, such as the JSON of a request.
//
// The zero value is that of an argument that is not given.
type SecretValue struct {
	open, shown any
	given       bool
}

// Given reports whether the file has the argument.
func (v SecretValue) Given() bool { return v.given }

// Reveal returns the value with its secrets. Only the code that sends it may use it.
func (v SecretValue) Reveal() any { return v.open }

// Shown returns the value with its secrets hidden.
func (v SecretValue) Shown() any { return v.shown }

// Format hides the secrets for every verb of package fmt.
func (v SecretValue) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, v.shown) }

// MarshalJSON writes the value with its secrets hidden.
func (v SecretValue) MarshalJSON() ([]byte, error) { return json.Marshal(v.shown) }

// SecretRecord is a record whose values may hold secrets, such as the query of a request.
type SecretRecord struct{ SecretValue }

// escapeHole escapes the value of a hole for the text before it.
type escapeHole = func(before string, hole formula.Part, text string) (string, error)

// isSecret reports whether a formula is the name of a secret.
func (s Scope) isSecret(source string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(source), NameInputs+".")
	_, secret := s.Secrets[name]
	return ok && secret
}

// secretValue computes a value whose texts may hold secrets, with them and without.
func (v *Value) secretValue(ctx context.Context, sc Scope) (SecretValue, error) {
	switch {
	case v.Record != nil:
		names, err := v.Record.EvalNames(ctx, sc)
		if err != nil {
			return SecretValue{}, err
		}
		open, shown := map[string]any{}, map[string]any{}
		for i, e := range v.Record.Entries {
			x, err := e.Value.secretValue(ctx, sc)
			if err != nil {
				return SecretValue{}, err
			}
			if x.open == formula.Omitted {
				continue
			}
			open[names[i].Name], shown[names[i].Name] = x.open, x.shown
		}
		return SecretValue{open, shown, true}, nil
	case v.List != nil:
		open, shown := []any{}, []any{}
		for _, e := range v.List {
			x, err := e.secretValue(ctx, sc)
			if err != nil {
				return SecretValue{}, err
			}
			if x.open != formula.Omitted {
				open, shown = append(open, x.open), append(shown, x.shown)
			}
		}
		return SecretValue{open, shown, true}, nil
	case v.readsSecret(sc):
		text, err := v.secretText(ctx, sc, nil)
		return SecretValue{text.text, text.shown, true}, err
	}
	x, err := v.Eval(ctx, sc)
	return SecretValue{x, x, true}, err
}

// secretText computes a text that may hold secrets, with them and without. escape applies
// to the holes of a template; nil escapes nothing.
func (v *Value) secretText(ctx context.Context, sc Scope, escape escapeHole) (SecretText, error) {
	inputs, _ := sc.Vars[NameInputs].(map[string]any)
	open, hidden := maps.Clone(inputs), maps.Clone(inputs)
	if open == nil {
		open, hidden = map[string]any{}, map[string]any{}
	}
	for name, s := range sc.Secrets {
		open[name], hidden[name] = s.Reveal(), s.String()
	}
	eval := v.Eval
	if v.Template != nil {
		eval = func(_ context.Context, sc Scope) (any, error) {
			text, err := v.Template.EvalEscaped(sc.Machine, sc.Vars, escape)
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

// readsSecret reports whether a formula or a text is or includes a secret.
func (v *Value) readsSecret(sc Scope) bool {
	switch {
	case len(sc.Secrets) == 0:
		return false
	case v.Formula != nil:
		return sc.isSecret(v.Formula.Source())
	}
	return v.Template != nil && slices.ContainsFunc(v.Template.Sources(), sc.isSecret)
}

// escapeNextToSecret percent-encodes data in the same text as a secret, so that it cannot
// end the secret or add to it.
func escapeNextToSecret(_ string, hole formula.Part, text string) (string, error) {
	if !hole.FromData {
		return text, nil
	}
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
		var escape escapeHole
		if e.Value.readsSecret(sc) {
			escape = escapeNextToSecret
		}
		text, err := e.Value.secretText(ctx, sc, escape)
		if err != nil {
			return nil, err
		}
		out = append(out, SecretField{Name: names[i].Name, Value: text})
	}
	return out, nil
}
