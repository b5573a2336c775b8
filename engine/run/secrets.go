package run

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
)

// splitSecrets separates the inputs that formulas see from the secrets.
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

// secretReplacer hides secrets in a text, including a text that is JSON. It is nil
// without secrets.
func secretReplacer(secrets map[string]bitrix.Secret) *strings.Replacer {
	if len(secrets) == 0 {
		return nil
	}
	var texts []string
	for _, s := range secrets {
		quoted, _ := json.Marshal(s.Reveal()) // encoding a string never fails
		texts = append(texts, s.Reveal(), string(quoted[1:len(quoted)-1]))
	}
	// A secret may start with another one: the longer one goes first.
	slices.SortFunc(texts, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, text := range texts {
		pairs = append(pairs, text, bitrix.Secret(text).String())
	}
	return strings.NewReplacer(pairs...)
}
