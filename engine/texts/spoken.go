package texts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
)

// gender is that of a counted noun in Russian: один, одна, одно.
type gender int

const (
	masculine gender = iota
	feminine
	neuter
)

// unit is a counted word: the forms one, few and many, see Form.
type unit struct {
	forms  [3]string
	gender gender
}

// speech is how a language speaks numbers.
type speech struct {
	small    [20]string // 0 to 19
	tens     [10]string
	hundreds [10]string
	scales   []unit // thousand, million and so on
	language datetime.Language
	minus    string
	money    map[string]spokenMoney
}

// spokenMoney is a currency and its hundredth.
type spokenMoney struct{ whole, part unit }

// mostGroups is how many groups of three digits a spoken number has at most.
const mostGroups = 5

var speeches = map[datetime.Language]*speech{
	datetime.Russian: {
		small: [20]string{
			"ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять", "одиннадцать", "двенадцать",
			"тринадцать", "четырнадцать", "пятнадцать", "шестнадцать", "семнадцать", "восемнадцать", "девятнадцать",
		},
		tens:     [10]string{"", "", "двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто"},
		hundreds: [10]string{"", "сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот"},
		scales: []unit{
			{[3]string{"тысяча", "тысячи", "тысяч"}, feminine},
			{[3]string{"миллион", "миллиона", "миллионов"}, masculine},
			{[3]string{"миллиард", "миллиарда", "миллиардов"}, masculine},
			{[3]string{"триллион", "триллиона", "триллионов"}, masculine},
		},
		language: datetime.Russian, minus: "минус",
		money: map[string]spokenMoney{
			"RUB": {unit{[3]string{"рубль", "рубля", "рублей"}, masculine}, kopeck},
			"BYN": {unit{[3]string{"белорусский рубль", "белорусских рубля", "белорусских рублей"}, masculine}, kopeck},
			"UAH": {unit{[3]string{"гривна", "гривны", "гривен"}, feminine}, kopeck},
			"KZT": {unit{[3]string{"тенге", "тенге", "тенге"}, neuter}, unit{[3]string{"тиын", "тиына", "тиынов"}, masculine}},
			"USD": {unit{[3]string{"доллар США", "доллара США", "долларов США"}, masculine}, unit{[3]string{"цент", "цента", "центов"}, masculine}},
			"EUR": {unit{[3]string{"евро", "евро", "евро"}, masculine}, unit{[3]string{"цент", "цента", "центов"}, masculine}},
		},
	},
	datetime.English: {
		small: [20]string{
			"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
			"thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
		},
		tens: [10]string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"},
		hundreds: [10]string{
			"", "one hundred", "two hundred", "three hundred", "four hundred", "five hundred", "six hundred", "seven hundred", "eight hundred", "nine hundred",
		},
		scales:   []unit{english("thousand", "thousand"), english("million", "million"), english("billion", "billion"), english("trillion", "trillion")},
		language: datetime.English, minus: "minus",
		money: map[string]spokenMoney{
			"RUB": {english("ruble", "rubles"), english("kopeck", "kopecks")},
			"BYN": {english("Belarusian ruble", "Belarusian rubles"), english("kopeck", "kopecks")},
			"UAH": {english("hryvnia", "hryvnias"), english("kopeck", "kopecks")},
			"KZT": {english("tenge", "tenge"), english("tiyn", "tiyn")},
			"USD": {english("US dollar", "US dollars"), english("cent", "cents")},
			"EUR": {english("euro", "euros"), english("cent", "cents")},
		},
	},
}

var kopeck = unit{[3]string{"копейка", "копейки", "копеек"}, feminine}

func english(one, many string) unit { return unit{[3]string{one, many, many}, masculine} }

// SpokenCurrencies are the codes of the currencies that InWords knows.
func SpokenCurrencies() []string { return []string{"BYN", "EUR", "KZT", "RUB", "UAH", "USD"} }

// InWords writes a number in words. Without a currency ("") it is a whole number. With one it
// is an amount in the form of documents: сто двадцать рублей 50 копеек. An unknown currency,
// more digits after the point, and numbers of more than 15 digits are errors.
func InWords(n num.Num, currency string, lang datetime.Language) (string, error) {
	s := speeches[lang]
	if s == nil {
		s = speeches[datetime.English]
	}
	digits, negative := strings.CutPrefix(n.String(), "-")
	whole, part, _ := strings.Cut(digits, ".")
	if len(whole) > 3*mostGroups {
		return "", fmt.Errorf("the number has more than %d digits before its point", 3*mostGroups)
	}
	var words []string
	if negative {
		words = append(words, s.minus)
	}
	if currency == "" {
		if part != "" {
			return "", fmt.Errorf("%s is no whole number: round it, or name a currency", n)
		}
		return strings.Join(append(words, s.count(whole, masculine)...), " "), nil
	}
	money, known := s.money[currency]
	if !known {
		return "", fmt.Errorf("%.20q has no name in words: write one of %s", currency, strings.Join(SpokenCurrencies(), ", "))
	}
	if len(part) > 2 {
		return "", fmt.Errorf("%s has more than two digits after its point: write round(…, 2)", n)
	}
	part += strings.Repeat("0", 2-len(part))
	words = append(words, s.count(whole, money.whole.gender)...)
	words = append(words, money.whole.of(whole, s.language), part, money.part.of(strings.TrimPrefix(part, "0"), s.language))
	return strings.Join(words, " "), nil
}

// of returns the form of the word for a number.
func (u unit) of(digits string, lang datetime.Language) string {
	n, err := num.Parse(digits)
	if err != nil {
		panic(err) // digits are digits
	}
	return u.forms[Form(n, lang)]
}

// count returns the words of a whole number that counts something of a gender.
func (s *speech) count(digits string, of gender) []string {
	if digits == "0" {
		return []string{s.small[0]}
	}
	var words []string
	for len(digits)%3 != 0 {
		digits = "0" + digits
	}
	groups := len(digits) / 3
	for i := range groups {
		group := digits[3*i : 3*i+3]
		if group == "000" {
			continue
		}
		scale := groups - 1 - i
		if scale == 0 {
			words = append(words, s.group(group, of)...)
			continue
		}
		word := s.scales[scale-1]
		words = append(append(words, s.group(group, word.gender)...), word.of(strings.TrimLeft(group, "0"), s.language))
	}
	return words
}

// group returns the words of three digits.
func (s *speech) group(group string, of gender) []string {
	var words []string
	if h := s.hundreds[group[0]-'0']; h != "" {
		words = append(words, h)
	}
	tens, ones := int(group[1]-'0'), int(group[2]-'0')
	if tens < 2 {
		if n := 10*tens + ones; n > 0 {
			words = append(words, s.one(n, of))
		}
		return words
	}
	switch {
	case ones == 0:
		words = append(words, s.tens[tens])
	case s.language == datetime.English:
		words = append(words, s.tens[tens]+"-"+s.small[ones])
	default:
		words = append(words, s.tens[tens], s.one(ones, of))
	}
	return words
}

// one returns the word of a number below 20 for a gender: две тысячи, but два рубля.
func (s *speech) one(n int, of gender) string {
	if s.language == datetime.English || n > 2 {
		return s.small[n]
	}
	forms := [3][3]string{masculine: {"", "один", "два"}, feminine: {"", "одна", "две"}, neuter: {"", "одно", "два"}}
	return forms[of][n]
}

// IsSpokenCurrency reports whether InWords takes a currency; "" is none.
func IsSpokenCurrency(code string) bool {
	return code == "" || slices.Contains(SpokenCurrencies(), code)
}
