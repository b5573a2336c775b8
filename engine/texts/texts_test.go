package texts_test

import (
	"strings"
	"testing"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/engine/texts"
)

func TestFormatNumber(t *testing.T) {
	tests := []struct {
		n      string
		places int
		lang   datetime.Language
		want   string
	}{
		{"1500000.5", 2, "ru", "1 500 000,50"},
		{"1500000.5", 2, "en", "1,500,000.50"},
		{"1500000.5", 0, "", "1,500,001"},
		{"999", 0, "ru", "999"},
		{"-1000", 0, "ru", "-1 000"},
		{"-0.004", 2, "ru", "0,00"},
		{"0.005", 2, "en", "0.01"},
		{"12345678901234567890123.5", 1, "en", "12,345,678,901,234,567,890,123.5"},
		{"0", 2, "ru", "0,00"},
	}
	for _, tt := range tests {
		got := strings.ReplaceAll(texts.FormatNumber(num.MustParse(tt.n), tt.places, tt.lang), "\u00a0", " ")
		if got != tt.want {
			t.Errorf("FormatNumber(%s, %d, %s) = %s, want %s", tt.n, tt.places, tt.lang, got, tt.want)
		}
	}
}

// TestForm compares with the rules of CLDR in x/text.
func TestForm(t *testing.T) {
	forms := map[plural.Form]int{plural.One: 0, plural.Few: 1, plural.Many: 2}
	for n := range 2000 {
		want := forms[plural.Cardinal.MatchPlural(language.Russian, n, 0, 0, 0, 0)]
		if got := texts.Form(num.FromInt(int64(n)), datetime.Russian); got != want {
			t.Errorf("%d takes the form %d in Russian, want %d", n, got, want)
		}
		if got := texts.Form(num.FromInt(int64(n)), datetime.English) == 0; got != (plural.Cardinal.MatchPlural(language.English, n, 0, 0, 0, 0) == plural.One) {
			t.Errorf("%d takes the form one in English: %t", n, got)
		}
	}
	if got := texts.Form(num.MustParse("1.5"), datetime.Russian); got != 1 {
		t.Errorf("1.5 takes the form %d in Russian, want few", got)
	}
}

func TestPhone(t *testing.T) {
	tests := []struct{ text, region, want string }{
		{"8 (900) 111-22-33", "RU", "+79001112233"},
		{"+7 900 111 22 33", "RU", "+79001112233"},
		{"79001112233", "RU", "+79001112233"},
		{"900 111-22-33", "RU", "+79001112233"},
		{"8 495 123-45-67 доб. 12", "RU", "+74951234567"},
		{"tel:+7-495-123-45-67", "RU", "+74951234567"},
		{"8 701 123 45 67", "KZ", "+77011234567"},
		{"8 701 123 45 67", "RU", "+77011234567"},
		{"8 029 123-45-67", "BY", "+375291234567"},
		{"29 123-45-67", "BY", "+375291234567"},
		{"375291234567", "BY", "+375291234567"},
		{"067 123 45 67", "UA", "+380671234567"},
		{"8 067 123 45 67", "UA", "+380671234567"},
		{"+380671234567", "RU", "+380671234567"},
		{"810 49 30 1234567", "RU", "+49301234567"},
		{"0049 30 1234567", "RU", "+49301234567"},
		{"+49 30 1234567", "RU", "+49301234567"},
		{"+371 2612-3456", "RU", "+37126123456"},
		{"112", "RU", ""},
		{"", "RU", ""},
		{"нет", "RU", ""},
		{"123-45-67", "RU", ""},
		{"8 000 000 00 00", "RU", ""},
		{"+7 900 111 22 3", "RU", ""},
		{"+7 900 111 22 334", "RU", ""},
		{"call me 89001112233", "RU", ""},
		{"+0 900 111 22 33", "RU", ""},
		{"89001112233", "US", ""},
	}
	for _, tt := range tests {
		if got, ok := texts.Phone(tt.text, tt.region); got != tt.want && ok || ok != (tt.want != "") {
			t.Errorf("Phone(%q, %s) = %s, %t, want %s", tt.text, tt.region, got, ok, tt.want)
		}
	}
	// A number that was read is read again.
	for _, tt := range tests {
		if got, ok := texts.Phone(tt.text, tt.region); ok {
			if again, ok := texts.Phone(got, "RU"); !ok || again != got {
				t.Errorf("Phone(%s) = %s, %t", got, again, ok)
			}
		}
	}
}

func TestWords(t *testing.T) {
	if got := texts.Capitalize("ёлка"); got != "Ёлка" {
		t.Errorf("Capitalize: %s", got)
	}
	if got := texts.Capitalize(""); got != "" {
		t.Errorf("Capitalize of nothing: %s", got)
	}
	if got := texts.Digits("a1-2٣3"); got != "123" {
		t.Errorf("Digits: %s", got)
	}
}
