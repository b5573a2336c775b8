package num

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Parse reads a number as JSON writes it ("10.50", "-3", "1e3"); leading zeros
// are allowed, since portals send them. It refuses a number with more than 60
// significant digits, with more than 60 on one side of the point, or with an
// exponent beyond ±30, before building it.
func Parse(text string) (Num, error) {
	p, ok := split(text)
	if !ok {
		return Num{}, fmt.Errorf("%s is not a number: write it like 10.50", quote(text))
	}
	exponent := 0
	if p.exponent != "" {
		e, err := strconv.Atoi(p.exponent)
		if err != nil || e > maxExponent || e < -maxExponent {
			return Num{}, fmt.Errorf("the exponent of %s is beyond %d", quote(text), maxExponent)
		}
		exponent = e
	}
	digits := strings.TrimLeft(p.whole+p.fraction, "0")
	exponent -= len(p.fraction)
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return Num{}, nil
	}
	if len(trimmed) > maxDigits || exponent < -maxDigits || len(trimmed)+exponent > maxDigits {
		return Num{}, fmt.Errorf("%s has more than %d digits", quote(text), maxDigits)
	}
	if p.negative {
		trimmed = "-" + trimmed
	}
	return build(trimmed, int32(exponent))
}

func build(digits string, exponent int32) (Num, error) {
	if small, err := strconv.ParseInt(digits, 10, 64); err == nil {
		switch {
		case exponent > 0 && exponent <= maxSmallScale:
			if n, ok := multiply(small, powers[exponent]); ok {
				return Num{small: n}, nil
			}
		case exponent <= 0 && exponent >= -maxSmallScale:
			return Num{small: small, scale: uint8(-exponent)}, nil
		}
	}
	coefficient, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return Num{}, fmt.Errorf("%s is not a number", quote(digits))
	}
	return fromDecimal(decimal.NewFromBigInt(coefficient, exponent)), nil
}

// parts are the pieces of a number's text; split has checked each of them.
type parts struct {
	negative                  bool
	whole, fraction, exponent string
}

func split(text string) (p parts, ok bool) {
	rest, negative := strings.CutPrefix(text, "-")
	p.negative = negative
	p.whole, rest = takeDigits(rest)
	if p.whole == "" {
		return p, false
	}
	if after, found := strings.CutPrefix(rest, "."); found {
		if p.fraction, rest = takeDigits(after); p.fraction == "" {
			return p, false
		}
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		sign := ""
		rest = rest[1:]
		if rest != "" && (rest[0] == '+' || rest[0] == '-') {
			sign, rest = rest[:1], rest[1:]
		}
		var digits string
		if digits, rest = takeDigits(rest); digits == "" {
			return p, false
		}
		p.exponent = sign + digits
	}
	return p, rest == ""
}

func takeDigits(s string) (digits, rest string) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end], s[end:]
}

// quote shortens what a portal or a user sent, for a message.
func quote(text string) string {
	const longest = 40
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return strconv.Quote(text)
}
