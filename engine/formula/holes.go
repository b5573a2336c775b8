package formula

import (
	"strings"
	"unicode/utf8"
)

// Hole is a place of a template: what stands between {{ and }}.
type Hole struct {
	From, To int // runes of the text, without the braces
}

// Holes finds the holes of a text as CompileTemplate reads them. It stops at one
// that does not end.
func Holes(text string) []Hole {
	var out []Hole
	runes := 0
	for len(out) <= maxHoles {
		open := strings.Index(text, holeOpen)
		if open < 0 {
			break
		}
		begin := open + len(holeOpen)
		size := holeEnd(text[begin:])
		if size < 0 {
			break
		}
		from := runes + utf8.RuneCountInString(text[:begin])
		to := from + utf8.RuneCountInString(text[begin:begin+size])
		out = append(out, Hole{From: from, To: to})
		runes, text = to+len(holeClose), text[begin+size+len(holeClose):]
	}
	return out
}
