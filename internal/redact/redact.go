// Package redact hides secrets in everything that the program shows or stores.
//
// Logs, histories, exports, error texts and dumps use a Redactor. It finds a secret in
// every usual spelling: as plain text, escaped for JSON, URLs or HTML, several of these
// one inside another, in hexadecimal digits and in Base64. It also hides what has the
// name of a secret, such as access_token, and passwords and codes in addresses.
package redact

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Hidden is the text that replaces a secret.
const Hidden = "<secret>"

// MinLength is the length in bytes of the shortest secret that a Redactor looks for. A
// secret of fewer than six bytes is hidden only where it is a whole word.
const MinLength = 4

// Redactor hides secrets. The zero value and nil know no secret; they hide only what has
// the name of a secret and passwords in addresses. It is safe for concurrent use.
type Redactor struct {
	mu     sync.Mutex
	owners map[string][]string
	found  atomic.Pointer[patterns]
}

// New returns a redactor of secrets: tokens, passwords, URLs of webhooks. Of a URL it
// also hides the password and the code of a webhook.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	r.Set("", secrets...)
	return r
}

// Set replaces the secrets of an owner, such as the tokens of a portal. Secrets of other
// owners stay. It does nothing for nil.
func (r *Redactor) Set(owner string, secrets ...string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.owners[owner], secrets) {
		return
	}
	if r.owners == nil {
		r.owners = map[string][]string{}
	}
	r.owners[owner] = slices.Clone(secrets)
	r.found.Store(newPatterns(slices.Concat(slices.Collect(maps.Values(r.owners))...)))
}

// patterns returns the patterns of the secrets, nil when there are none.
func (r *Redactor) patterns() *patterns {
	if r == nil {
		return nil
	}
	return r.found.Load()
}

// Text hides secrets in a text of any format.
func (r *Redactor) Text(s string) string {
	return hideInAddresses(r.patterns().hide(s))
}

// Known hides the given secrets in text or JSON, and nothing else: an answer of another
// system may have tokens that a rule needs.
func (r *Redactor) Known(data []byte) []byte {
	p := r.patterns()
	if p == nil || len(p.find(data)) == 0 {
		return data
	}
	if json.Valid(data) {
		return encode(&walker{text: p.hide}, data)
	}
	return []byte(p.hide(string(data)))
}

// Error returns an error whose text has no secrets. It wraps err.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if shown := r.Text(text); shown != text {
		return &hiddenError{text: shown, err: err}
	}
	return err
}

// hiddenError is an error whose text has no secrets.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }

// isSecretName reports whether values with this name are secrets.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	if i := strings.LastIndexByte(name, '['); i >= 0 { // auth[access_token] of a form
		name = strings.TrimSuffix(name[i+1:], "]")
	}
	switch name {
	case "secret", "client_secret", "app_secret", "api_key", "apikey", "auth_id", "refresh_id", "passwd":
		return true
	}
	return strings.HasSuffix(name, "_token") || strings.Contains(name, "password")
}
