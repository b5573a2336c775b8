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
// Escapes that are not valid are kept as they stand and pairs without a name
// are dropped, as PHP does. Only lim makes it fail: the error is ErrLimit.
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
		steps := parseKey(unescape(key))
		if len(steps) > lim.Depth {
			return nil, fmt.Errorf("a key with more than %d levels: %w", lim.Depth, ErrLimit)
		}
		if len(steps) > 0 {
			place(root, steps, unescape(value))
		}
	}
	return root, nil
}

// step is one part of a key: a[b][] has the steps a, b and an append.
type step struct {
	key    string
	append bool
}

// parseKey splits a key into its steps, none for a key without a name, which
// PHP drops. It follows php_register_variable_ex of PHP 8, oddities included:
// one space inside a bracket is an append, what follows a closed bracket is
// cut off, and a bracket that never closes is part of the name.
func parseKey(key string) []step {
	key = strings.TrimLeft(key, " ")
	if i := strings.IndexByte(key, 0); i >= 0 {
		key = key[:i]
	}
	open := strings.IndexByte(key, '[')
	if open < 0 {
		open = len(key)
	}
	if open == 0 {
		return nil
	}
	steps := []step{{key: variable(key[:open])}}
	rest := key[open:]
	for strings.HasPrefix(rest, "[") {
		from := 1
		if len(rest) > 1 && strings.IndexByte(" \t\n\v\f\r", rest[1]) >= 0 {
			from = 2
		}
		end := strings.IndexByte(rest[from:], ']')
		if end < 0 {
			if len(steps) == 1 {
				steps[0].key = variable(key)
			}
			break
		}
		if end == 0 {
			steps = append(steps, step{append: true})
		} else {
			steps = append(steps, step{key: rest[1 : from+end]})
		}
		rest = rest[from+end+1:]
	}
	return steps
}

// variable replaces what the name of a PHP variable cannot hold.
func variable(name string) string {
	return strings.NewReplacer(" ", "_", ".", "_", "[", "_").Replace(name)
}

// place puts a value at the end of its steps, making arrays on the way. A
// scalar in the way is replaced, as in PHP.
func place(a *Array, steps []step, value string) {
	for _, s := range steps[:len(steps)-1] {
		var inner *Array
		if v, ok := a.Get(s.key); ok && !s.append {
			inner, _ = v.(*Array)
		}
		if inner == nil {
			inner = NewArray()
			put(a, s, inner)
		}
		a = inner
	}
	put(a, steps[len(steps)-1], value)
}

func put(a *Array, s step, value any) {
	if s.append {
		a.Append(value)
		return
	}
	a.Set(s.key, value)
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
		buildValue(&b, escape(k), v)
	}
	return b.String()
}

func buildValue(b *strings.Builder, key string, v any) {
	switch v := v.(type) {
	case nil:
	case *Array:
		for k, inner := range v.All() {
			buildValue(b, key+"%5B"+escape(k)+"%5D", inner)
		}
	default:
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(escape(text(v)))
	}
}

// escape is PHP's urlencode, which also escapes "~".
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "~", "%7E") }

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
