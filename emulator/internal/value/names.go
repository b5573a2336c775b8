package value

import (
	"strings"
	"unicode"
)

// CamelName turns a stored name of a system field into the one that crm.item.*
// uses: ASSIGNED_BY_ID becomes assignedById. An underscore between digits
// stays.
func CamelName(upper string) string {
	var b strings.Builder
	runes := []rune(strings.ToLower(upper))
	for i, r := range runes {
		if r == '_' && i > 0 && i+1 < len(runes) {
			if unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[i+1]) {
				b.WriteRune(r)
			}
			continue
		}
		if i > 0 && runes[i-1] == '_' {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ItemName turns the stored name of a custom field into the one that
// crm.item.* uses. The regular way serves names of only digits or only letters
// after the object's number: UF_CRM_3_DIGIT is ufCrm3Digit. Any other name only
// gets a new prefix, so that it can be turned back: UF_CRM_3_DIGIT10 is
// ufCrm_3_DIGIT10.
//
// https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
func ItemName(upper string) string {
	rest, ok := strings.CutPrefix(upper, "UF_CRM_")
	if !ok {
		return CamelName(upper)
	}
	object, name, found := strings.Cut(rest, "_")
	if found && OnlyDigits(object) && (OnlyDigits(name) || onlyLetters(name)) {
		return CamelName(upper)
	}
	return "ufCrm_" + rest
}

func OnlyDigits(s string) bool {
	return s != "" && digits(s) == s
}

// onlyLetters also takes the underscores between words.
func onlyLetters(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

// UpperName turns productId into PRODUCT_ID; stored names stay.
func UpperName(name string) string {
	if name == strings.ToUpper(name) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
