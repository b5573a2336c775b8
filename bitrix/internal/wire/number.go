package wire

import (
	"strconv"
	"strings"
)

// maxExact is how many digits a decimal has at most that a double keeps.
const maxExact = 15

// ShortNumbers replaces the numbers of a JSON text that a PHP with
// serialize_precision 17 has printed: 1.0049999999999999 is the double that the
// shortest decimal 1.005 means. These are the unquoted numbers with a point or an
// exponent and more than 15 digits. Whole numbers and quoted numbers are exact
// and stay. It returns data itself when it has none.
func ShortNumbers(data []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			i = endOfText(data, i)
		case c == '-' || '0' <= c && c <= '9':
			end := i + 1
			for end < len(data) && strings.IndexByte("0123456789+-.eE", data[end]) >= 0 {
				end++
			}
			if short, ok := shortNumber(string(data[i:end])); ok {
				out = append(append(out, data[done:i]...), short...)
				done = end
			}
			i = end - 1
		}
	}
	if done == 0 {
		return data
	}
	return append(out, data[done:]...)
}

// endOfText returns where the text that starts at data[start] has its last quote.
func endOfText(data []byte, start int) int {
	i := start + 1
	for i < len(data) && data[i] != '"' {
		if data[i] == '\\' {
			i++
		}
		i++
	}
	return i
}

// shortNumber returns the shortest decimal of a printed double. ok is false for
// other numbers.
func shortNumber(text string) (short string, ok bool) {
	if len(text) <= maxExact || !strings.ContainsAny(text, ".eE") {
		return "", false
	}
	format, mantissa := byte('f'), text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		format, mantissa = 'e', text[:i]
	}
	if significant(mantissa) <= maxExact {
		return "", false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", false
	}
	return strconv.FormatFloat(f, format, -1, 64), true
}

// significant returns how many digits a decimal has from its first one that is not 0.
func significant(decimal string) int {
	digits := strings.TrimLeft(decimal, "-0.")
	return len(digits) - strings.Count(digits, ".")
}
