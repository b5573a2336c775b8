package redact

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// JSON hides secrets in a JSON value. A value without secrets is returned unchanged.
func (r *Redactor) JSON(data []byte) []byte {
	if !r.suspects(data) {
		return data
	}
	return encode(&walker{text: r.Text, suspects: r.suspects}, data)
}

// encode walks through a JSON value and encodes what is left of it.
func encode(w *walker, data []byte) []byte {
	v, ok := decodeJSON(data)
	if !ok {
		return []byte(`"` + Hidden + `"`) // losing the value is better than showing a secret
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(w.walk("", v)); err != nil {
		return []byte(`"` + Hidden + `"`)
	}
	return bytes.TrimSpace(out.Bytes())
}

func decodeJSON(data []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err == nil && !d.More()
}

// Body hides secrets in the body of a request or an answer: JSON, a form or any other
// text.
func (r *Redactor) Body(data []byte) []byte {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF")))
	if json.Valid(text) {
		return r.JSON(text)
	}
	if !bytes.ContainsAny(text, " \r\n\t<") && bytes.IndexByte(text, '=') > 0 {
		return []byte(r.Text(hideInQuery(string(text))))
	}
	return []byte(r.Text(string(data)))
}

// suspects reports whether JSON may have a secret. Most has none, and is not decoded.
func (r *Redactor) suspects(data []byte) bool {
	if p := r.patterns(); p != nil && len(p.find(data)) > 0 {
		return true
	}
	for _, t := range [...]string{"_token", "_TOKEN", "ecret", "ECRET", "assw", "ASSW", "api_key", "apikey", "AUTH_ID", "REFRESH_ID", "auth=", "token=", "rest/", `rest\/`} {
		if bytes.Contains(data, []byte(t)) {
			return true
		}
	}
	return bytes.IndexByte(data, '@') >= 0 && (bytes.Contains(data, []byte("://")) || bytes.Contains(data, []byte(`:\/\/`)))
}

// maxNested is how many JSON texts one inside another are read.
const maxNested = 4

// walker hides secrets in a decoded JSON value.
type walker struct {
	text func(string) string
	// suspects reports whether a text may have values with the name of a secret. Nil
	// means that names do not matter.
	suspects func([]byte) bool
	nested   int
}

func (w *walker) walk(name string, v any) any {
	switch x := v.(type) {
	case string:
		if w.suspects != nil && isSecretName(name) && x != "" {
			return Hidden
		}
		return w.value(x)
	case json.Number:
		if s := x.String(); len(s) >= wordLength && w.text(s) != s {
			return Hidden
		}
	case []any:
		for i, e := range x {
			x[i] = w.walk(name, e)
		}
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[w.text(k)] = w.walk(k, e)
		}
		return out
	}
	return v
}

// value hides secrets in a text inside of JSON, which may be JSON itself.
func (w *walker) value(s string) string {
	t := []byte(strings.TrimSpace(s))
	if w.suspects != nil && w.nested < maxNested && len(t) > 1 && (t[0] == '{' || t[0] == '[') && w.suspects(t) {
		if _, ok := decodeJSON(t); ok {
			return string(encode(&walker{text: w.text, suspects: w.suspects, nested: w.nested + 1}, t))
		}
	}
	return w.text(s)
}

// hideInQuery hides the values of a form or of the query of an address whose names are
// those of secrets.
func hideInQuery(query string) string {
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, given := strings.Cut(p, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		if lower := strings.ToLower(plain); given && (lower == "auth" || lower == "token" || isSecretName(lower)) {
			parts[i] = name + "=" + Hidden
		}
	}
	return strings.Join(parts, "&")
}
