package value

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/php"
)

// precision is PHP's default setting: the significant digits of a float as text.
const precision = 14

// PHPFloat is a float as PHP turns it into text: 1234567890123.4, 1.0E-5, 1.5E+15.
func PHPFloat(n float64) string {
	if n == 0 {
		return "0"
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(n, 'e', precision-1, 64), "e")
	exp, _ := strconv.Atoi(exponent) // FormatFloat writes one
	if exp >= -4 && exp < precision {
		return trimZeros(strconv.FormatFloat(n, 'f', precision-1-exp, 64))
	}
	mantissa = trimZeros(mantissa)
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	sign := "+"
	if exp < 0 {
		sign, exp = "-", -exp
	}
	return mantissa + "E" + sign + strconv.Itoa(exp)
}

// trimZeros removes zeros after the point, and the point without digits after it.
func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// LongFloats returns a value whose fractional numbers are printed with 17 significant
// digits, as a PHP with serialize_precision=17 prints them: 1.005 is
// 1.0049999999999999.
func LongFloats(v any) any {
	return mapNumbers(v, func(text json.Number) any {
		n, err := strconv.ParseFloat(string(text), 64)
		if err != nil || !strings.Contains(string(text), ".") {
			return text
		}
		return json.Number(strconv.FormatFloat(n, 'g', 17, 64))
	})
}

// TextNumbers returns a value whose numbers are texts.
func TextNumbers(v any) any {
	return mapNumbers(v, func(text json.Number) any { return string(text) })
}

// mapNumbers returns a value with each number in it replaced.
func mapNumbers(v any, replace func(json.Number) any) any {
	switch v := v.(type) {
	case *php.Array:
		out := php.NewArray()
		for key, inner := range v.All() {
			out.Set(key, mapNumbers(inner, replace))
		}
		return out
	case json.Number:
		return replace(v)
	}
	return v
}
