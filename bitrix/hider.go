package bitrix

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Hider takes secrets out of what a portal has sent or was sent before it is
// kept: the secrets it was made with, passwords and tokens in addresses, and
// what stands under names such as access_token. Portals do send secrets: the
// address of a file in an item has the webhook's code in its path. A nil Hider
// knows no secrets of its own. It is safe for concurrent use.
type Hider struct {
	secrets  []string // the longest first
	spelled  [][]byte // as JSON may have them
	replacer *strings.Replacer
}

// minHidden is the length from which on a text is taken for a secret: hiding
// every "1" would hide nothing and spoil everything.
const minHidden = 6

// NewHider makes a hider of webhook URLs, tokens and the like. Of a webhook's
// URL its code is hidden too.
func NewHider(secrets ...Secret) *Hider {
	h := &Hider{}
	add := func(s string) {
		if len(s) >= minHidden && !slices.Contains(h.secrets, s) {
			h.secrets = append(h.secrets, s)
		}
	}
	for _, s := range secrets {
		text := strings.TrimSpace(s.Reveal())
		add(text)
		add(url.QueryEscape(text))
		add(url.PathEscape(text))
		if base, code, err := webhookURL(s); err == nil {
			add(base)
			add(code)
		}
	}
	slices.SortFunc(h.secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range h.secrets {
		pairs = append(pairs, s, hidden)
		quoted, _ := json.Marshal(s) // text can always be written
		inside := quoted[1 : len(quoted)-1]
		var plain bytes.Buffer
		e := json.NewEncoder(&plain)
		e.SetEscapeHTML(false)
		_ = e.Encode(s)
		for _, form := range [][]byte{[]byte(s), inside, bytes.ReplaceAll(inside, []byte("/"), []byte(`\/`)), bytes.Trim(plain.Bytes(), "\"\n")} {
			if !slices.ContainsFunc(h.spelled, func(b []byte) bool { return bytes.Equal(b, form) }) {
				h.spelled = append(h.spelled, form)
			}
		}
	}
	h.replacer = strings.NewReplacer(pairs...)
	return h
}

// Text hides secrets in a text.
func (h *Hider) Text(s string) string {
	if h != nil {
		s = h.replacer.Replace(s)
	}
	return hideInURLs(s)
}

// JSON hides secrets in a JSON value, which it may change in place. What holds
// none is returned as it is.
func (h *Hider) JSON(data []byte) []byte {
	if !h.suspicious(data) {
		return data
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []byte(`"` + hidden + `"`) // better nothing than a secret
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(h.walk("", v)); err != nil {
		return []byte(`"` + hidden + `"`)
	}
	return bytes.TrimSpace(out.Bytes())
}

// suspicious is a quick look: most records hold no secret.
func (h *Hider) suspicious(data []byte) bool {
	if h != nil {
		for _, s := range h.spelled {
			if bytes.Contains(data, s) {
				return true
			}
		}
	}
	for _, t := range [...]string{"_token", "_TOKEN", "ecret", "ECRET", "assw", "ASSW", "api_key", "apikey", "AUTH_ID", "REFRESH_ID", "auth=", "token="} {
		if bytes.Contains(data, []byte(t)) {
			return true
		}
	}
	return bytes.Contains(data, []byte("@")) && (bytes.Contains(data, []byte("://")) || bytes.Contains(data, []byte(`:\/\/`)))
}

// secretName tells names whose values are secrets.
func secretName(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "secret", "client_secret", "app_secret", "api_key", "apikey", "auth_id", "refresh_id", "passwd":
		return true
	}
	return strings.HasSuffix(name, "_token") || strings.Contains(name, "password")
}

func (h *Hider) walk(name string, v any) any {
	switch x := v.(type) {
	case string:
		if secretName(name) && x != "" {
			return hidden
		}
		return h.Text(x)
	case json.Number:
		if s := h.Text(x.String()); s != x.String() {
			return s
		}
	case []any:
		for i, e := range x {
			x[i] = h.walk(name, e)
		}
	case map[string]any:
		for k, e := range x {
			hiddenKey := h.Text(k)
			if hiddenKey != k {
				delete(x, k)
			}
			x[hiddenKey] = h.walk(k, e)
		}
	}
	return v
}

// hideInURLs hides the password before a host, and tokens among the parameters.
func hideInURLs(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i+3])
		s = s[i+3:]
		end := strings.IndexAny(s, " \t\r\n\"'<>")
		if end < 0 {
			end = len(s)
		}
		b.WriteString(hideInAddress(s[:end]))
		s = s[end:]
	}
}

func hideInAddress(a string) string {
	host, rest := a, ""
	if i := strings.IndexAny(a, "/?#"); i >= 0 {
		host, rest = a[:i], a[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, _, _ := strings.Cut(host[:i], ":")
		host = user + ":" + hidden + host[i:]
	}
	path, query, ok := strings.Cut(rest, "?")
	if !ok {
		return host + rest
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, given := strings.Cut(p, "=")
		if lower := strings.ToLower(name); given && (lower == "auth" || lower == "token" || secretName(lower)) {
			parts[i] = name + "=" + hidden
		}
	}
	return host + path + "?" + strings.Join(parts, "&")
}
