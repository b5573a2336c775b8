package value

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/num"
)

// Same reports whether a stored and a desired value are equal for the portal. The
// order of a multiple field's values matters unless the field is Unordered.
func (f *Field) Same(stored, desired any) bool {
	if f.Kind == KindMultifields {
		return len(Missing(stored, desired)) == 0
	}
	if f.Unordered {
		return slices.Equal(set(f, stored), set(f, desired))
	}
	a, b := f.Split(stored), f.Split(desired)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !f.SameOne(a[i], b[i]) {
			return false
		}
	}
	return true
}

// set returns the canonical values of v, sorted and without duplicates.
func set(f *Field, v any) []string {
	out := []string{}
	for _, x := range f.Split(v) {
		out = append(out, f.CanonicalOne(x))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SameOne is Same for single values.
func (f *Field) SameOne(a, b any) bool {
	switch f.Kind {
	case KindNumber:
		x, okX := f.number(a)
		y, okY := f.number(b)
		return okX && okY && x.Equal(y)
	case KindFlag:
		return FlagOf(a) == FlagOf(b)
	case KindDay, KindDateTime:
		x, okX := DateTimeOf(a, f.DayFirst)
		y, okY := DateTimeOf(b, f.DayFirst)
		if !okX || !okY {
			return okX == okY && TextOf(a) == TextOf(b)
		}
		if f.Kind == KindDay {
			return x.Day() == y.Day()
		}
		return x.Same(y, f.Zone)
	case KindMoney:
		return moneyOf(a) == moneyOf(b)
	case KindChoice:
		return f.Choices.id(a) == f.Choices.id(b)
	case KindHTML:
		return htmlText(a) == htmlText(b)
	}
	if f.Length > 0 {
		return f.truncate(TextOf(a)) == f.truncate(TextOf(b))
	}
	return sameText(a, b)
}

// sameText compares texts. If one side is a number, both are compared as numbers,
// because an id is "5" in one method and 5 in another.
func sameText(a, b any) bool {
	_, numA := a.(num.Num)
	_, numB := b.(num.Num)
	if numA || numB {
		x, okX := NumberOf(a)
		y, okY := NumberOf(b)
		if okX && okY {
			return x.Equal(y)
		}
	}
	return TextOf(a) == TextOf(b)
}

// truncate cuts a text to the length that the portal stores.
func (f *Field) truncate(text string) string {
	if f.Length == 0 || utf8.RuneCountInString(text) <= f.Length {
		return text
	}
	return string([]rune(text)[:f.Length])
}

// number reads a number and rounds it to what the field stores.
func (f *Field) number(v any) (num.Num, bool) {
	n, ok := NumberOf(v)
	if !ok {
		return n, false
	}
	if f.Places != UnknownPlaces {
		n = n.Round(f.Places)
	}
	return storable(n), true
}

// storableDigits is the number of digits that a portal stores: PHP writes a float
// as text with 14 (the setting precision).
const storableDigits = 14

// storable rounds n to the digits that a portal stores, so that 1/3 does not
// differ from its stored form in every run.
func storable(n num.Num) num.Num {
	digits := strings.TrimLeft(strings.Replace(strings.TrimPrefix(n.String(), "-"), ".", "", 1), "0")
	if extra := len(digits) - storableDigits; extra > 0 && n.Scale() > 0 {
		return n.Round(max(n.Scale()-extra, 0))
	}
	return n
}

// Canonical returns one text for all spellings of a value.
func (f *Field) Canonical(v any) string {
	parts := []string{}
	for _, x := range f.Split(v) {
		parts = append(parts, f.CanonicalOne(x))
	}
	return strings.Join(parts, "\x00")
}

// CanonicalOne is Canonical for a single value.
func (f *Field) CanonicalOne(v any) string {
	switch f.Kind {
	case KindNumber:
		if n, ok := f.number(v); ok {
			return n.String()
		}
	case KindDay:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			return m.Day()
		}
	case KindDateTime:
		if m, ok := DateTimeOf(v, f.DayFirst); ok {
			if m = m.At(f.Zone); m.zoned {
				m.t = m.t.UTC()
			}
			return m.ISO()
		}
	case KindFlag:
		return FlagOf(v)
	case KindMoney:
		return moneyOf(v)
	case KindChoice:
		return f.Choices.id(v)
	case KindHTML:
		return htmlText(v)
	}
	// TextOf returns the same for the id 5 and "5".
	return TextOf(v)
}

// Order compares a stored number or time with another one. The order of texts is
// unknown, because the portal's database decides it. The order of days is unknown
// too, because the zone may have shifted the midnight that a portal sends.
func (f *Field) Order(stored, other any) (order int, known bool) {
	switch f.Kind {
	case KindNumber:
		a, okA := NumberOf(stored)
		b, okB := NumberOf(other)
		return a.Cmp(b), okA && okB
	case KindDateTime:
		a, okA := DateTimeOf(stored, f.DayFirst)
		b, okB := DateTimeOf(other, f.DayFirst)
		b = b.At(f.Zone)
		return a.t.Compare(b.t), okA && okB && a.zoned && b.zoned
	}
	return 0, false
}
