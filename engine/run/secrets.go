package run

import (
	"maps"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/redact"
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

// redactorOf returns a redactor of secrets. It is nil without secrets.
func redactorOf(secrets map[string]bitrix.Secret) *redact.Redactor {
	if len(secrets) == 0 {
		return nil
	}
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return redact.New(texts...)
}
