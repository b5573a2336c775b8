package actions

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/num"
)

// same reports whether a stored value and a wished one mean the same. The order
// of a multiple field's values counts where it means something.
func (f *field) same(stored, wished any) bool {
	if f.unordered {
		return slices.Equal(f.set(stored), f.set(wished))
	}
	a, b := f.values(stored), f.values(wished)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !f.sameOne(a[i], b[i]) {
			return false
		}
	}
	return true
}

// set is the values of v, each once, in an order of their own.
func (f *field) set(v any) []string {
	out := []string{}
	for _, x := range f.values(v) {
		out = append(out, f.canonicalOne(x))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (f *field) sameOne(a, b any) bool {
	switch f.kind {
	case kindNumber:
		x, okX := f.number(a)
		y, okY := f.number(b)
		return okX && okY && x.Equal(y)
	case kindFlag:
		return flagOf(a) == flagOf(b)
	case kindDay, kindMoment:
		x, okX := momentOf(a, f.dayFirst)
		y, okY := momentOf(b, f.dayFirst)
		if !okX || !okY {
			return okX == okY && textOf(a) == textOf(b)
		}
		if f.kind == kindDay {
			return x.day() == y.day()
		}
		return x.same(y, f.zone)
	case kindMoney:
		return moneyOf(a) == moneyOf(b)
	case kindChoice:
		return f.choice(a) == f.choice(b)
	case kindHTML:
		return htmlText(a) == htmlText(b)
	}
	if f.length > 0 {
		return f.kept(textOf(a)) == f.kept(textOf(b))
	}
	return sameText(a, b)
}

// sameText compares texts; where one side is a number the other is read as one
// too: an id is "5" in one method and 5 in the next.
func sameText(a, b any) bool {
	_, numA := a.(num.Num)
	_, numB := b.(num.Num)
	if numA || numB {
		x, okX := numberOf(a)
		y, okY := numberOf(b)
		if okX && okY {
			return x.Equal(y)
		}
	}
	return textOf(a) == textOf(b)
}

// kept is what the portal keeps of a text.
func (f *field) kept(text string) string {
	if f.length == 0 || utf8.RuneCountInString(text) <= f.length {
		return text
	}
	return string([]rune(text)[:f.length])
}

// number reads a number as the field keeps it.
func (f *field) number(v any) (num.Num, bool) {
	n, ok := numberOf(v)
	if !ok {
		return n, false
	}
	if f.places != unknownPlaces {
		n = n.Round(f.places)
	}
	return storable(n), true
}

// storableDigits is how many digits of a number survive in a portal: PHP turns
// a float into text with 14 (the setting precision).
const storableDigits = 14

// storable returns n with the digits that a portal can keep, so that 1/3 is
// not found different from its stored form in every run.
func storable(n num.Num) num.Num {
	digits := strings.TrimLeft(strings.Replace(strings.TrimPrefix(n.String(), "-"), ".", "", 1), "0")
	if extra := len(digits) - storableDigits; extra > 0 && n.Scale() > 0 {
		return n.Round(max(n.Scale()-extra, 0))
	}
	return n
}

// canonical writes a value so that values that mean the same read the same.
func (f *field) canonical(v any) string {
	parts := []string{}
	for _, x := range f.values(v) {
		parts = append(parts, f.canonicalOne(x))
	}
	return strings.Join(parts, "\x00")
}

func (f *field) canonicalOne(v any) string {
	switch f.kind {
	case kindNumber:
		if n, ok := f.number(v); ok {
			return n.String()
		}
	case kindDay:
		if m, ok := momentOf(v, f.dayFirst); ok {
			return m.day()
		}
	case kindMoment:
		if m, ok := momentOf(v, f.dayFirst); ok {
			if m = m.at(f.zone); m.zoned {
				m.t = m.t.UTC()
			}
			return m.iso()
		}
	case kindFlag:
		return flagOf(v)
	case kindMoney:
		return moneyOf(v)
	case kindChoice:
		return f.choice(v)
	case kindHTML:
		return htmlText(v)
	}
	// textOf makes no difference between the id 5 and "5".
	return textOf(v)
}
