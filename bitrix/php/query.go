package php

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Limits bound what ParseStr builds of hostile input. Unlike PHP, which drops
// what is too much, it refuses the whole: nothing is lost in silence.
type Limits struct {
	// Values is how many key=value pairs there may be. 0 means 10,000.
	Values int
	// Depth is how many brackets one key may have. 0 means 64, as in PHP's
	// max_input_nesting_level.
	Depth int
	// KeyBytes is how long one key may be. 0 means 4,096.
	KeyBytes int
}

func (l Limits) withDefaults() Limits {
	if l.Values == 0 {
		l.Values = 10_000
	}
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.KeyBytes == 0 {
		l.KeyBytes = 4096
	}
	return l
}

// ErrLimit is wrapped by the errors of input that is over the Limits.
var ErrLimit = errors.New("over the limit")

// ParseStr reads a query or form body as PHP's parse_str does: a[b][]=c nests,
// later keys overwrite earlier ones, dots and spaces of a name become "_".
// Escapes that are not valid are kept as they stand, as PHP does. The error is
// always ErrLimit.
func ParseStr(query string, lim Limits) (*Array, error) {
	lim = lim.withDefaults()
	root := NewArray()
	count := 0
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		if count++; count > lim.Values {
			return nil, fmt.Errorf("more than %d values: %w", lim.Values, ErrLimit)
		}
		key, value, _ := strings.Cut(pair, "=")
		if len(key) > lim.KeyBytes {
			return nil, fmt.Errorf("a key of more than %d bytes: %w", lim.KeyBytes, ErrLimit)
		}
		path, appends, ok := parseKey(unescape(key))
		if !ok {
			continue
		}
		if len(path) > lim.Depth {
			return nil, fmt.Errorf("a key with more than %d levels: %w", lim.Depth, ErrLimit)
		}
		place(root, path, appends, unescape(value))
	}
	return root, nil
}

// parseKey splits a[b][] into its steps; appends marks the empty brackets.
func parseKey(key string) (path []string, appends []bool, ok bool) {
	key = strings.TrimLeft(key, " ")
	if i := strings.IndexByte(key, 0); i >= 0 {
		key = key[:i]
	}
	open := strings.IndexByte(key, '[')
	if key == "" || open == 0 {
		// PHP takes a name that begins with a bracket for a name with "_".
		if open != 0 {
			return nil, nil, false
		}
		key = "_" + key[1:]
		open = strings.IndexByte(key, '[')
	}
	if open < 0 {
		return []string{plainName(key)}, []bool{false}, true
	}
	rest := key[open:]
	var steps []string
	for strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			break
		}
		steps = append(steps, rest[1:end])
		rest = rest[end+1:]
	}
	if len(steps) == 0 {
		// A bracket that never closes belongs to the name, as "_".
		return []string{plainName(key[:open]) + "_" + key[open+1:]}, []bool{false}, true
	}
	path, appends = []string{plainName(key[:open])}, []bool{false}
	for _, s := range steps {
		path = append(path, strings.TrimLeft(s, " "))
		appends = append(appends, s == "")
	}
	return path, appends, true
}

// plainName replaces what a PHP variable's name cannot hold.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == ' ' {
			return '_'
		}
		return r
	}, name)
}

// place puts a value at the end of a path, making arrays on the way. A scalar
// in the way is replaced, as in PHP.
func place(a *Array, path []string, appends []bool, value string) {
	for i, step := range path {
		last := i == len(path)-1
		if appends[i] {
			if last {
				a.Append(value)
				return
			}
			inner := NewArray()
			a.Append(inner)
			a = inner
			continue
		}
		if last {
			a.Set(step, value)
			return
		}
		v, _ := a.Get(step)
		inner, ok := v.(*Array)
		if !ok {
			inner = NewArray()
			a.Set(step, inner)
		}
		a = inner
	}
}

// unescape decodes + and %XX and keeps what is no valid escape.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			out = append(out, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// BuildQuery writes an array as PHP's http_build_query does: brackets are
// escaped, null and empty arrays vanish, true is 1 and false 0.
func BuildQuery(a *Array) string {
	var b strings.Builder
	for k, v := range a.All() {
		buildValue(&b, url.QueryEscape(k), v)
	}
	return b.String()
}

func buildValue(b *strings.Builder, key string, v any) {
	switch v := v.(type) {
	case nil:
	case *Array:
		for k, inner := range v.All() {
			buildValue(b, key+"%5B"+url.QueryEscape(k)+"%5D", inner)
		}
	default:
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(escapeValue(text(v)))
	}
}

// escapeValue is PHP's urlencode, which also escapes "~".
func escapeValue(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "~", "%7E") }

// text is how PHP writes a scalar into a query.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}
