// Package value holds the values of REST requests and answers, and PHP's conversions between them.
//
// A request and an answer are built of nil, bool, string, json.Number and
// [php.Array] only. A reference in a batch then finds the same value that the
// client would get.
package value

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// Object builds an array of keys and values in turn.
func Object(pairs ...any) *php.Array {
	a := php.NewArray()
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		a.Set(key, Of(pairs[i+1]))
	}
	return a
}

// Of turns a Go value into one that an answer may hold.
func Of(v any) any {
	switch v := v.(type) {
	case int:
		return FromInt(int64(v))
	case int64:
		return FromInt(v)
	case num.Num:
		return FromNum(v)
	case []string:
		a := php.NewArray()
		for _, s := range v {
			a.Append(s)
		}
		return a
	}
	return v
}

func FromInt(n int64) json.Number   { return json.Number(strconv.FormatInt(n, 10)) }
func FromNum(n num.Num) json.Number { return json.Number(n.String()) }

func YesNo(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// IsEmpty is PHP's empty().
func IsEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == "" || v == "0"
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		return err == nil && f == 0
	case *php.Array:
		return v.Len() == 0
	}
	return false
}

// Text is PHP's (string).
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if n, err := num.Parse(v.String()); err == nil {
			return n.String()
		}
		return v.String()
	case bool:
		if v {
			return "1"
		}
	case *php.Array:
		return "Array"
	}
	return ""
}

// Num is PHP's (float), kept exact: of text the number at its beginning
// counts, and what is too long for a number is 0.
func Num(v any) num.Num {
	switch v := v.(type) {
	case bool:
		if v {
			return num.FromInt(1)
		}
	case json.Number:
		return parsePrefix(v.String())
	case string:
		return parsePrefix(v)
	case *php.Array:
		return num.FromInt(int64(min(v.Len(), 1)))
	}
	return num.Num{}
}

func parsePrefix(s string) num.Num {
	n, err := num.Parse(numericPrefix(s))
	if err != nil {
		return num.Num{}
	}
	return n
}

// numericPrefix returns the number at the beginning of text in a form that num
// reads, "0" if there is none.
func numericPrefix(s string) string {
	s = strings.TrimLeft(s, " \t\n\r\v\f")
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	whole := digits(s)
	rest, fraction, exponent := s[len(whole):], "", ""
	if strings.HasPrefix(rest, ".") {
		fraction = digits(rest[1:])
		rest = rest[1+len(fraction):]
	}
	if whole == "" && fraction == "" {
		return "0"
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		mark := 1
		if len(rest) > 1 && (rest[1] == '-' || rest[1] == '+') {
			mark = 2
		}
		if d := digits(rest[mark:]); d != "" {
			exponent = "e" + strings.TrimPrefix(rest[1:mark], "+") + d
		}
	}
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction + exponent
}

// digits are those at the beginning of text.
func digits(s string) string {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end]
}

// IsNumeric is PHP's is_numeric for what a call can hold.
func IsNumeric(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case string:
		_, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return err == nil && !strings.ContainsAny(v, "xXpPiInN_")
	}
	return false
}

// Int is PHP's (int).
func Int(v any) int64 {
	i, _ := Num(v).Trunc().Int64()
	return i
}

// Array returns an array as it is; anything else is none.
func Array(v any) (*php.Array, bool) {
	a, ok := v.(*php.Array)
	return a, ok
}

// List returns the values of an array, or a scalar as the only one.
func List(v any) []any {
	a, ok := v.(*php.Array)
	if !ok {
		return []any{v}
	}
	values := make([]any, 0, a.Len())
	for _, x := range a.All() {
		values = append(values, x)
	}
	return values
}

func DateOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// FirstSet returns the first value that is not nil, nil without one.
func FirstSet(values ...any) any {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

// IsYes is how crm.item.* reads a boolean: true, "true", "y" and "Y" are yes,
// everything else is no, 1 too.
func IsYes(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v == "true" || v == "y" || v == "Y"
	}
	return false
}

// PHPType is PHP's gettype.
func PHPType(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case bool:
		return "boolean"
	case json.Number:
		if Num(v).IsInt() {
			return "integer"
		}
		return "double"
	case *php.Array:
		return "array"
	}
	return "string"
}

// TextOrNull is how lists show text: null when it is empty.
func TextOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func First(v any) any {
	if several, ok := v.([]any); ok {
		if len(several) == 0 {
			return nil
		}
		return several[0]
	}
	return v
}

// DeriveHex makes a token of n hexadecimal digits, at most 64, that is the same
// for the same portal.
func DeriveHex(secret, purpose string, n int) string {
	sum := sha256.Sum256([]byte(secret + "\x00" + purpose))
	return hex.EncodeToString(sum[:])[:n]
}

// Fixed writes a number with so many digits after the point, as legacy answers
// do.
func Fixed(n num.Num, places int) string {
	text := n.Round(places).String()
	have := n.Round(places).Scale()
	if have == 0 {
		text += "."
	}
	for ; have < places; have++ {
		text += "0"
	}
	return text
}

// EmptyObject is a PHP object without public properties, which is {} where an
// empty array is [].
type EmptyObject struct{}
