// Package texts writes numbers and words for people, and reads phone numbers. It is for
// the functions of formulas.
package texts

import (
	"strings"
	"unicode"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
)

// MostPlaces bounds the digits after the point of a written number.
const MostPlaces = 20

// noBreak is the blank between groups of digits in Russian, at which no line breaks.
const noBreak = "\u00a0"

// FormatNumber writes a number with so many digits after the point, rounded half away
// from zero: 1,500,000.50 in English, 1 500 000,50 with no-break blanks in Russian.
func FormatNumber(n num.Num, places int, lang datetime.Language) string {
	group, point := ",", "."
	if lang == datetime.Russian {
		group, point = noBreak, ","
	}
	var b strings.Builder
	digits, negative := strings.CutPrefix(n.Round(places).String(), "-")
	if negative {
		b.WriteByte('-')
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(digit)
	}
	if places > 0 {
		b.WriteString(point + fraction + strings.Repeat("0", places-len(fraction)))
	}
	return b.String()
}

// Form returns which of the forms one, few and many (0, 1, 2) a number takes: 1 and 21
// one, 2 and 22 few, 5, 11 and 111 many in Russian, and fractions few; in English 1 is one
// and all others are the last form.
//
// Source: https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html
func Form(n num.Num, lang datetime.Language) int {
	text := strings.TrimPrefix(n.String(), "-")
	if lang != datetime.Russian {
		if text == "1" {
			return 0
		}
		return 2
	}
	if strings.Contains(text, ".") {
		return 1
	}
	last, tens := text[len(text)-1], byte('0')
	if len(text) > 1 {
		tens = text[len(text)-2]
	}
	switch {
	case tens == '1':
		return 2
	case last == '1':
		return 0
	case last >= '2' && last <= '4':
		return 1
	}
	return 2
}

// Digits returns the digits 0 to 9 of a text.
func Digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// Capitalize makes the first letter of a text a capital.
func Capitalize(s string) string {
	for i, r := range s {
		return s[:i] + string(unicode.ToUpper(r)) + s[i+len(string(r)):]
	}
	return s
}
