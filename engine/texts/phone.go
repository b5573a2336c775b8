package texts

import "strings"

// phoneRule is how numbers of a region are written inside of it.
type phoneRule struct {
	country  string
	national int    // digits after the country code
	trunk    string // what is dialled before them inside of the region
	first    string // the digits with which they start
}

// phoneRules are those of the regions whose numbers Phone reads without a +.
//
// Source: the numbering plans that https://www.itu.int/oth/T0202.aspx lists
var phoneRules = map[string]phoneRule{
	"RU": {country: "7", national: 10, trunk: "8", first: "3489"},
	"KZ": {country: "7", national: 10, trunk: "8", first: "67"},
	"BY": {country: "375", national: 9, trunk: "80", first: "1234"},
	"UA": {country: "380", national: 9, trunk: "0", first: "3456789"},
}

// Regions lists the regions of Phone.
func Regions() []string { return []string{"RU", "BY", "KZ", "UA"} }

// The lengths of numbers in the international form, without the +.
const (
	shortestPhone = 8
	longestPhone  = 15
)

// Phone reads a phone number in the international form or in the form of a region, and
// returns it as +79001112233. ok is false when the text is no such number. An extension
// after the number is dropped.
func Phone(text, region string) (phone string, ok bool) {
	lower := strings.ToLower(text)
	for _, mark := range []string{"доб", "ext", "вн", "#", ";", ",", "/"} {
		if i := strings.Index(lower, mark); i > 0 {
			lower = lower[:i]
		}
	}
	lower = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lower), "tel:"))
	if strings.Trim(lower, "0123456789+-–—().\u00a0 \t") != "" {
		return "", false // letters are no part of a number
	}
	digits := Digits(lower)
	if strings.HasPrefix(lower, "+") || strings.HasPrefix(lower, "(+") {
		return international(digits)
	}
	rule, known := phoneRules[region]
	if !known {
		return "", false
	}
	for _, prefix := range []string{rule.trunk, rule.country, "8" + rule.trunk, ""} {
		rest, has := strings.CutPrefix(digits, prefix)
		if has && len(rest) == rule.national && strings.ContainsRune(rule.first, rune(rest[0])) {
			return "+" + rule.country + rest, true
		}
	}
	for _, prefix := range []string{"00", "810"} {
		if rest, has := strings.CutPrefix(digits, prefix); has {
			return international(rest)
		}
	}
	if region == "RU" || region == "KZ" { // they share a country code
		other := map[string]string{"RU": "KZ", "KZ": "RU"}[region]
		if len(digits) == 11 && (digits[0] == '7' || digits[0] == '8') && strings.ContainsRune(phoneRules[other].first, rune(digits[1])) {
			return "+7" + digits[1:], true
		}
	}
	return "", false
}

// international checks the digits of a number with its country code.
func international(digits string) (string, bool) {
	if len(digits) < shortestPhone || len(digits) > longestPhone || digits[0] == '0' {
		return "", false
	}
	valid, ours := false, false
	for _, rule := range phoneRules {
		if rest, has := strings.CutPrefix(digits, rule.country); has {
			ours = true
			valid = valid || len(rest) == rule.national && strings.ContainsRune(rule.first, rune(rest[0]))
		}
	}
	return "+" + digits, valid || !ours
}
