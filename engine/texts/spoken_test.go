package texts_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/texts"
)

// spellOut are CLDR's rules for numbers in words (common/rbnf, spellout-cardinal). A rule
// counts from its number on: << is the quotient, >> the rest, [] is omitted without a rest,
// and $(one|few|many) the form for the quotient.
//
// Source: https://github.com/unicode-org/cldr/tree/main/common/rbnf
var spellOut = map[string]map[int64]string{
	"ru": {
		0: "ноль", 1: "один", 2: "два", 3: "три", 4: "четыре", 5: "пять", 6: "шесть", 7: "семь", 8: "восемь", 9: "девять", 10: "десять",
		11: "одиннадцать", 12: "двенадцать", 13: "тринадцать", 14: "четырнадцать", 15: "пятнадцать", 16: "шестнадцать", 17: "семнадцать",
		18: "восемнадцать", 19: "девятнадцать", 20: "двадцать[ >>]", 30: "тридцать[ >>]", 40: "сорок[ >>]", 50: "пятьдесят[ >>]",
		60: "шестьдесят[ >>]", 70: "семьдесят[ >>]", 80: "восемьдесят[ >>]", 90: "девяносто[ >>]", 100: "сто[ >>]", 200: "двести[ >>]",
		300: "триста[ >>]", 400: "четыреста[ >>]", 500: "пятьсот[ >>]", 600: "шестьсот[ >>]", 700: "семьсот[ >>]", 800: "восемьсот[ >>]",
		900: "девятьсот[ >>]", 1000: "<f< $(тысяча|тысячи|тысяч)[ >>]", 1e6: "<< $(миллион|миллиона|миллионов)[ >>]",
		1e9: "<< $(миллиард|миллиарда|миллиардов)[ >>]", 1e12: "<< $(триллион|триллиона|триллионов)[ >>]",
	},
	"en": {
		0: "zero", 1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven",
		12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen",
		20: "twenty[->>]", 30: "thirty[->>]", 40: "forty[->>]", 50: "fifty[->>]", 60: "sixty[->>]", 70: "seventy[->>]", 80: "eighty[->>]",
		90: "ninety[->>]", 100: "<< hundred[ >>]", 1000: "<< thousand[ >>]", 1e6: "<< million[ >>]", 1e9: "<< billion[ >>]", 1e12: "<< trillion[ >>]",
	},
}

// spell follows the rules. feminine are the words that differ in this gender.
func spell(n int64, lang string, feminine bool) string {
	if words := map[int64]string{1: "одна", 2: "две"}; feminine && words[n] != "" {
		return words[n]
	}
	var base int64
	for from := range spellOut[lang] {
		if from <= n && from > base {
			base = from
		}
	}
	rule := spellOut[lang][base]
	divisor := int64(1)
	for divisor*10 <= base {
		divisor *= 10
	}
	quotient, rest := n/divisor, n%divisor
	text, tail, optional := strings.Cut(rule, "[")
	if optional && rest > 0 {
		text += strings.Replace(strings.TrimSuffix(tail, "]"), ">>", spell(rest, lang, feminine), 1)
	}
	if strings.HasPrefix(text, "<f<") {
		text = spell(quotient, lang, true) + text[len("<f<"):]
	} else if strings.HasPrefix(text, "<<") {
		text = spell(quotient, lang, false) + text[len("<<"):]
	}
	if before, rest, ok := strings.Cut(text, "$("); ok {
		forms, after, _ := strings.Cut(rest, ")")
		text = before + strings.Split(forms, "|")[texts.Form(num.FromInt(quotient), datetime.Language(lang))] + after
	}
	return text
}

// TestInWords compares numbers up to 10^12 with CLDR's rules.
func TestInWords(t *testing.T) {
	var numbers []int64
	for n := range int64(1300) {
		numbers = append(numbers, n)
	}
	for n := int64(1); n <= 1e12; n = n*3 + 7 {
		numbers = append(numbers, n, n*10, n*1000, n/7*1000+1)
	}
	for _, n := range append(numbers, 1e12, 999_999_999_999, 21_000, 1_002_001, 111_011_012) {
		if n > 1e12 {
			continue
		}
		for _, lang := range []string{"ru", "en"} {
			got, err := texts.InWords(num.FromInt(n), "", datetime.Language(lang))
			if want := spell(n, lang, false); err != nil || got != want {
				t.Fatalf("%d in %s: %q, %v, want %q", n, lang, got, err, want)
			}
		}
	}
	for _, tt := range []struct{ n, currency, lang, want string }{
		{"1200.5", "RUB", "ru", "одна тысяча двести рублей 50 копеек"},
		{"2001", "RUB", "ru", "две тысячи один рубль 00 копеек"},
		{"0.01", "RUB", "ru", "ноль рублей 01 копейка"},
		{"-22.02", "USD", "ru", "минус двадцать два доллара США 02 цента"},
		{"41", "UAH", "ru", "сорок одна гривна 00 копеек"},
		{"2", "KZT", "ru", "два тенге 00 тиынов"},
		{"1", "KZT", "ru", "одно тенге 00 тиынов"},
		{"21", "EUR", "ru", "двадцать один евро 00 центов"},
		{"111", "BYN", "ru", "сто одиннадцать белорусских рублей 00 копеек"},
		{"1.01", "USD", "en", "one US dollar 01 cent"},
		{"1521.25", "EUR", "", "one thousand five hundred twenty-one euros 25 cents"},
		{"999999999999999", "", "en", "nine hundred ninety-nine trillion nine hundred ninety-nine billion nine hundred ninety-nine million nine hundred ninety-nine thousand nine hundred ninety-nine"},
	} {
		if got, err := texts.InWords(num.MustParse(tt.n), tt.currency, datetime.Language(tt.lang)); err != nil || got != tt.want {
			t.Errorf("%s %s in %s: %q, %v, want %q", tt.n, tt.currency, tt.lang, got, err, tt.want)
		}
	}
	for n, currency := range map[string]string{"1.5": "", "1.005": "RUB", "1": "XYZ", "1000000000000000": ""} {
		if got, err := texts.InWords(num.MustParse(n), currency, "ru"); err == nil {
			t.Errorf("%s %s: %q, want an error", n, currency, got)
		}
	}
}
