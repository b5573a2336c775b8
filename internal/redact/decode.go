package redact

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLevels is how many escapings one inside another are undone.
const maxLevels = 4

// decoded is a text with its escapes undone, and for each byte the place in the original
// text that it comes from.
type decoded struct {
	text     []byte
	from, to []int32
}

// decode undoes the escapes of JSON, of URLs and of HTML once. ok is false for a text
// without escapes. A text before the first decode has nil places.
func decode(in decoded) (out decoded, ok bool) {
	for i := 0; i < len(in.text); {
		r, n := unescape(in.text[i:])
		if n == 0 {
			if ok {
				from, to := in.place(i)
				out.text, out.from, out.to = append(out.text, in.text[i]), append(out.from, from), append(out.to, to)
			}
			i++
			continue
		}
		if !ok {
			ok = true
			out.text = append(make([]byte, 0, len(in.text)), in.text[:i]...)
			out.from, out.to = make([]int32, i, len(in.text)), make([]int32, i, len(in.text))
			for j := range i {
				out.from[j], out.to[j] = in.place(j)
			}
		}
		from, _ := in.place(i)
		_, to := in.place(i + n - 1)
		for range len(r) {
			out.from, out.to = append(out.from, from), append(out.to, to)
		}
		out.text = append(out.text, r...)
		i += n
	}
	return out, ok
}

// place returns the place of a byte in the original text.
func (d decoded) place(i int) (from, to int32) {
	if d.from == nil {
		return int32(i), int32(i) + 1
	}
	return d.from[i], d.to[i]
}

// unescape returns the text of the escape at the start of s and the length of the escape,
// which is 0 when s starts with none.
func unescape(s []byte) (text string, length int) {
	switch s[0] {
	case '\\':
		return unescapeBackslash(s)
	case '%':
		if b, ok := hexDigits(s, 1, 2); ok {
			return string([]byte{byte(b)}), 3
		}
		if len(s) > 1 && s[1] == 'u' { // escape() of JavaScript
			if b, ok := hexDigits(s, 2, 4); ok {
				return string(rune(b)), 6
			}
		}
	case '&':
		return unescapeHTML(s)
	}
	return "", 0
}

func unescapeBackslash(s []byte) (text string, length int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case 'n':
		return "\n", 2
	case 'r':
		return "\r", 2
	case 't':
		return "\t", 2
	case 'b':
		return "\b", 2
	case 'f':
		return "\f", 2
	case '/', '\\', '"', '\'':
		return string(s[1:2]), 2
	case 'x':
		if b, ok := hexDigits(s, 2, 2); ok {
			return string([]byte{byte(b)}), 4
		}
	case 'U':
		if r, ok := hexDigits(s, 2, 8); ok {
			return string(rune(r)), 10
		}
	case 'u':
		r, ok := hexDigits(s, 2, 4)
		if !ok {
			return "", 0
		}
		if utf16.IsSurrogate(rune(r)) && len(s) > 7 && s[6] == '\\' && s[7] == 'u' {
			if low, ok := hexDigits(s, 8, 4); ok {
				if pair := utf16.DecodeRune(rune(r), rune(low)); pair != utf8.RuneError {
					return string(pair), 12
				}
			}
		}
		return string(rune(r)), 6
	}
	return "", 0
}

// maxEntity is the length of an HTML entity that is decoded.
const maxEntity = 12

func unescapeHTML(s []byte) (text string, length int) {
	end := strings.IndexByte(string(s[:min(len(s), maxEntity)]), ';')
	if end < 0 {
		return "", 0
	}
	entity := string(s[:end+1])
	if text = html.UnescapeString(entity); text == entity {
		return "", 0
	}
	return text, end + 1
}

// hexDigits reads a number of n hexadecimal digits at a place of s.
func hexDigits(s []byte, at, n int) (uint64, bool) {
	if len(s) < at+n {
		return 0, false
	}
	for _, c := range s[at : at+n] {
		if !isHex(c) {
			return 0, false
		}
	}
	v, err := strconv.ParseUint(string(s[at:at+n]), 16, 32)
	return v, err == nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
