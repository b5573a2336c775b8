package formula_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
)

func TestFunctionsOfTexts(t *testing.T) {
	env := formula.Env{Vars: map[string]formula.Type{"s": text, "n": number, "thing": {}, "phone": text}}
	vars := map[string]any{"s": "Счёт INV-0042 от Ивана", "n": n("1500000.5"), "thing": nil, "phone": "8 900 111 22 33"}
	tests := []struct{ src, want string }{
		{"replace(formatNumber(n, 2), '\u00a0', ' ')", "1 500 000,50"},
		{"formatNumber(n, 2, 'en')", "1,500,000.50"},
		{"formatNumber(1)", "1"},
		{"plural(21, ['день', 'дня', 'дней'])", "день"},
		{"plural(2, ['день', 'дня', 'дней'])", "дня"},
		{"plural(111, ['день', 'дня', 'дней'])", "дней"},
		{"plural(2, ['day', 'days'], 'en')", "days"},
		{"extract(s, `INV-(\\d+)`) ?? 'none'", "0042"},
		{"extract(s, `INV-\\d+`) ?? 'none'", "INV-0042"},
		{"extract(s, `(INV)-(\\d+)`, 2) ?? 'none'", "0042"},
		{"extract(s, `ORDER-(\\d+)`) ?? 'none'", "none"},
		{"extract(s, `^(\\w+)`) ?? 'none'", "Счёт"},
		{"replaceMatch(s, `\\w+-(\\d+)`, '№$1')", "Счёт №0042 от Ивана"},
		{"replaceMatch('a b', `[\\w]`, '$$')", "$ $"},
		{"replaceMatch('a  b', `\\s+`, ' ')", "a b"},
		{"string(tryNumber('12.50') ?? 0)", "12.5"},
		{"string(tryNumber('12,5 руб') ?? 0)", "0"},
		{"string(tryNumber(thing) ?? 0)", "0"},
		{"padStart('42', 6, '0')", "000042"},
		{"padStart('1234567', 6, '0')", "1234567"},
		{"capitalize('иван')", "Иван"},
		{"urlEncode('a b&ё')", "a+b%26%D1%91"},
		{"urlDecode('a+b%26%D1%91')", "a b&ё"},
		{"urlQuery('https://x.example/?utm_source=ya&utm_medium=cpc#top').utm_source", "ya"},
		{"urlQuery('https://x.example/').utm_source ?? 'none'", "none"},
		{"urlQuery('a=1&a=2&b=%D1%91').b", "ё"},
		{"digits('+7 (900) 11')", "790011"},
		{"phone(phone) ?? 'none'", "+79001112233"},
		{"phone('029 123-45-67', 'BY') ?? 'none'", "none"},
		{"phone('8 029 123-45-67', 'BY') ?? 'none'", "+375291234567"},
		{"money(n, 'RUB')", "1500000.5|RUB"},
		{"inWords(1200.5, 'RUB')", "одна тысяча двести рублей 50 копеек"},
		{"inWords(21, '', 'en')", "twenty-one"},
	}
	for _, tt := range tests {
		f, problems := formula.Compile(tt.src, env)
		if problems != nil {
			t.Errorf("%s: %+v", tt.src, problems)
			continue
		}
		v, err := f.Eval(formula.NewMachine(t.Context()).In(inYekaterinburg(t)), vars)
		if got, _ := v.(string); err != nil || got != tt.want {
			t.Errorf("%s = %v, %v, want %s", tt.src, v, err, tt.want)
		}
	}

	wrong := map[string]string{
		"money(n, 'XYZ')": "is no currency", "money(n, 'rub')": "is no currency", "phone(s, 'US')": "unknown region",
		"formatNumber(s)": "must be a number", "extract(s, s)": "has to be fixed", "extract(s, '(')": "not a pattern",
		"inWords(n, 'XYZ')": "does not know the currency", "inWords(n, 'RUB', 'rus')": "unknown language",
		"formatNumber(n, 2, 'rus')": "unknown language", "plural(2, [1, 2])": "list of text", "phone(s) + ''": "may be missing",
	}
	for src, want := range wrong {
		_, problems := formula.Compile(src, env)
		if len(problems) != 1 || !strings.Contains(problems[0].Text(), want) {
			t.Errorf("%s: %+v, want %s", src, problems, want)
		}
	}
	for _, src := range []string{"inWords(n)", "inWords(n, s)", "urlDecode('%zz')", "formatNumber(n, 21)", "padStart('a', 5, '')", "money(n, s)", "extract(s, `a`, 1) ?? ''", "padStart('a', 99999999, 'x')"} {
		f, problems := formula.Compile(src, env)
		if problems != nil {
			t.Errorf("%s: %+v", src, problems)
			continue
		}
		if v, err := f.Eval(formula.NewMachine(t.Context()), vars); err == nil {
			t.Errorf("%s = %v, want an error", src, v)
		}
	}
}
