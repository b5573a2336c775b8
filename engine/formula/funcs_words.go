package formula

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/currency"

	"github.com/b24rules/b24rules/engine/texts"
)

func formatNumber(m *Machine, args []any) (any, error) {
	n, err := number(args[0])
	if err != nil {
		return nil, err
	}
	places := 0
	if len(args) > 1 {
		if places, err = whole(args[1]); err != nil {
			return nil, err
		}
	}
	if places < 0 || places > texts.MostPlaces {
		return nil, fmt.Errorf("formatNumber writes 0 to %d digits after the point, not %d", texts.MostPlaces, places)
	}
	lang, err := m.language(args, 2)
	if err != nil {
		return nil, err
	}
	s := texts.FormatNumber(n, places, lang)
	return s, m.grow(len(s))
}

// pluralOf returns the form of a word that a number takes.
func pluralOf(m *Machine, args []any) (any, error) {
	n, err := number(args[0])
	if err != nil {
		return nil, err
	}
	forms, err := list(args[1])
	if err != nil {
		return nil, err
	}
	lang, err := m.language(args, 2)
	if err != nil {
		return nil, err
	}
	if len(forms) == 0 {
		return nil, errors.New("plural takes the forms of a word: [one, few, many]")
	}
	return orNil(text(forms[min(texts.Form(n, lang), len(forms)-1)]))
}

// tryNumber is number that gives nil for what is no number.
func tryNumber(m *Machine, args []any) (any, error) {
	if args[0] == nil {
		return nil, nil
	}
	n, err := toNumber(m, args)
	if err != nil {
		return nil, nil //nolint:nilerr // that is what tryNumber is for
	}
	return n, nil
}

func padStart(m *Machine, args []any) (any, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, err
	}
	n, err := whole(args[1])
	if err != nil {
		return nil, err
	}
	fill, err := text(args[2])
	if err != nil {
		return nil, err
	}
	if fill == "" {
		return nil, errors.New("padStart needs characters to fill with")
	}
	missing := n - utf8.RuneCountInString(s)
	if missing <= 0 {
		return s, nil
	}
	if err := m.grow(min(missing, maxText+1) * len(fill)); err != nil {
		return nil, err
	}
	runes := []rune(fill)
	var b strings.Builder
	for i := range missing {
		b.WriteRune(runes[i%len(runes)])
	}
	return b.String() + s, nil
}

// ofText makes a function of a text that grows a little.
func ofText(f func(s string) (any, error)) func(m *Machine, args []any) (any, error) {
	return func(m *Machine, args []any) (any, error) {
		s, err := text(args[0])
		if err != nil {
			return nil, err
		}
		const growth = 3 // %XX
		if err := m.grow(growth * len(s)); err != nil {
			return nil, err
		}
		return f(s)
	}
}

func capitalize(s string) (any, error) { return texts.Capitalize(s), nil }

func digits(s string) (any, error) { return texts.Digits(s), nil }

func urlEncode(s string) (any, error) { return url.QueryEscape(s), nil }

func urlDecode(s string) (any, error) {
	decoded, err := url.QueryUnescape(s)
	if err != nil || !utf8.ValidString(decoded) {
		return nil, fmt.Errorf("%.40q cannot be decoded as a part of a URL", s)
	}
	return decoded, nil
}

// maxQuery bounds the parameters of a URL.
const maxQuery = 1000

// urlQuery returns the parameters of a URL, or of its query alone: the first value of each
// name.
func urlQuery(s string) (any, error) {
	if _, query, found := strings.Cut(s, "?"); found {
		s = query
	} else if strings.Contains(s, "://") {
		s = ""
	}
	s, _, _ = strings.Cut(s, "#")
	if strings.Count(s, "&") >= maxQuery {
		return nil, fmt.Errorf("the URL has more than %d parameters", maxQuery)
	}
	out := map[string]any{}
	for part := range strings.SplitSeq(s, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if err != nil || valueErr != nil || name == "" || !utf8.ValidString(name+value) {
			continue // a single % in a link of an advertisement
		}
		if _, twice := out[name]; !twice {
			out[name] = value
		}
	}
	return out, nil
}

// phone returns a phone number in the international form, or nil.
func phone(m *Machine, args []any) (any, error) {
	s, err := allTexts(m, args)
	if err != nil {
		return nil, err
	}
	region := "RU"
	if len(s) > 1 {
		region = s[1]
		if err := knownRegion(region); err != nil {
			return nil, err
		}
	}
	if number, ok := texts.Phone(s[0], region); ok {
		return number, nil
	}
	return nil, nil
}

func knownRegion(region string) error {
	if !slices.Contains(texts.Regions(), region) {
		return fmt.Errorf("unknown region %.20q: write one of %s", region, strings.Join(texts.Regions(), ", "))
	}
	return nil
}

// money returns an amount in the form of a custom field of the type money.
func money(_ *Machine, args []any) (any, error) {
	n, err := number(args[0])
	if err != nil {
		return nil, err
	}
	code, err := text(args[1])
	if err != nil {
		return nil, err
	}
	if err := knownCurrency(code); err != nil {
		return nil, err
	}
	return n.String() + "|" + code, nil
}

func knownCurrency(code string) error {
	if unit, err := currency.ParseISO(code); err != nil || unit.String() != code {
		return fmt.Errorf("%.20q is no currency: write its code, such as RUB", code)
	}
	return nil
}

// inWords writes a number, or an amount of a currency, in words.
func inWords(m *Machine, args []any) (any, error) {
	n, err := number(args[0])
	if err != nil {
		return nil, err
	}
	code := ""
	if len(args) > 1 {
		if code, err = text(args[1]); err != nil {
			return nil, err
		}
	}
	lang, err := m.language(args, 2)
	if err != nil {
		return nil, err
	}
	s, err := texts.InWords(n, code, lang)
	if err != nil {
		return nil, err
	}
	return s, m.grow(len(s))
}

func spokenCurrency(code string) error {
	if !texts.IsSpokenCurrency(code) {
		return fmt.Errorf("inWords does not know the currency %.20q: write one of %s", code, strings.Join(texts.SpokenCurrencies(), ", "))
	}
	return nil
}

// extract makes a function that returns a group of the first match of a pattern, or nil.
func extract(re *regexp.Regexp) func(m *Machine, args []any) (any, error) {
	return func(m *Machine, args []any) (any, error) {
		s, err := text(args[0])
		if err != nil {
			return nil, err
		}
		group := min(1, re.NumSubexp())
		if len(args) > 2 {
			if group, err = whole(args[2]); err != nil {
				return nil, err
			}
		}
		if group < 0 || group > re.NumSubexp() {
			return nil, fmt.Errorf("the pattern has no group %d", group)
		}
		if err := m.read(len(s)); err != nil {
			return nil, err
		}
		match := re.FindStringSubmatchIndex(s)
		if match == nil || match[2*group] < 0 {
			return nil, nil
		}
		return s[match[2*group]:match[2*group+1]], nil
	}
}

// replaceMatch makes a function that replaces all matches of a pattern. $1 is the text
// of a group, and $$ a $.
func replaceMatch(re *regexp.Regexp) func(m *Machine, args []any) (any, error) {
	return func(m *Machine, args []any) (any, error) {
		s, err := text(args[0])
		if err != nil {
			return nil, err
		}
		with, err := text(args[2])
		if err != nil {
			return nil, err
		}
		if err := m.read(len(s)); err != nil {
			return nil, err
		}
		matches := re.FindAllStringSubmatchIndex(s, -1)
		if err := m.list(len(matches)); err != nil {
			return nil, err
		}
		out, last := []byte{}, 0
		with = groupNumber.ReplaceAllString(with, `$${$1}`)
		for _, match := range matches {
			before := len(out)
			out = append(out, s[last:match[0]]...)
			out = re.ExpandString(out, with, s, match)
			last = match[1]
			if err := m.grow(len(out) - before); err != nil {
				return nil, err
			}
		}
		return string(append(out, s[last:]...)), nil
	}
}

// groupNumber finds $1 in a replacement: $1a is the group 1 and an a.
var groupNumber = regexp.MustCompile(`\$(\d+)`)

// anyLetters makes \w and \W of a pattern know the letters of all alphabets, as people
// expect. RE2 has no such mode.
func anyLetters(pattern string) string {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch {
			case pattern[i] == 'w' && inClass:
				b.WriteString(`\p{L}\p{N}_`)
			case pattern[i] == 'w':
				b.WriteString(`[\p{L}\p{N}_]`)
			case pattern[i] == 'W' && !inClass:
				b.WriteString(`[^\p{L}\p{N}_]`)
			default:
				b.WriteByte(c)
				b.WriteByte(pattern[i])
			}
		case c == '[' && !inClass:
			inClass = true
			b.WriteByte(c)
		case c == ']' && inClass:
			inClass = false
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
