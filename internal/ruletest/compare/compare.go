package compare

import (
	"regexp"
	"strings"
	"time"
)

// Equal reports whether a value of a portal has the meaning that a test expects: 10.5
// equals "10.50", true equals "Y", null equals an empty value, a date equals the same day
// in every format, and /…/ is a regular expression. A record must have the fields of the
// expected record; with exact it may have no others.
func Equal(want, got any, exact bool) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return len(w) == 0 && Empty(got)
		}
		for name, x := range w {
			if !Equal(x, g[name], exact) {
				return false
			}
		}
		if exact {
			for name, x := range g {
				if _, named := w[name]; !named && !Empty(x) {
					return false
				}
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok && !Empty(got) {
			g = []any{got}
		}
		if len(w) != len(g) {
			return false
		}
		for i := range w {
			if !Equal(w[i], g[i], exact) {
				return false
			}
		}
		return true
	}
	if several, ok := got.([]any); ok && len(several) == 1 {
		got = several[0]
	}
	return equalScalar(want, got)
}

// ZeroNumber is an expected 0 in a number field of an item. crm.item.add and
// crm.item.update store 0 as empty, so it equals an empty value.
type ZeroNumber struct{}

// String returns the text in the test file.
func (ZeroNumber) String() string { return "0" }

// equalScalar compares single values.
func equalScalar(want, got any) bool {
	switch w := want.(type) {
	case ZeroNumber:
		n, ok := Number(got)
		return Empty(got) || ok && n.Sign() == 0
	case nil:
		return Empty(got)
	case bool:
		yes, known := Flag(got)
		return known && yes == w
	case string:
		if re, ok := pattern(w); ok {
			return re.MatchString(Text(got))
		}
		if w == Text(got) || w == "" && Empty(got) || sameDate(w, Text(got)) {
			return true
		}
		if !isNumber(got) {
			return false
		}
	}
	if !isNumber(want) && !isNumber(got) {
		return false
	}
	a, ok := Number(want)
	b, also := Number(got)
	return ok && also && a.Equal(b)
}

// Flag reads a boolean in the forms of the portal.
func Flag(v any) (yes, known bool) {
	switch Text(v) {
	case "Y", "1", "true":
		return true, true
	case "N", "0", "false", "":
		return false, true
	}
	return false, false
}

// pattern reads /…/.
func pattern(s string) (*regexp.Regexp, bool) {
	if len(s) < 3 || s[0] != '/' || s[len(s)-1] != '/' {
		return nil, false
	}
	re, err := regexp.Compile(s[1 : len(s)-1])
	return re, err == nil
}

var (
	dayLayouts  = [...]string{time.DateOnly, "01/02/2006", "02.01.2006"}
	timeLayouts = [...]string{time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04", "01/02/2006 03:04:05 pm", "02.01.2006 15:04:05"}
)

// sameDate compares dates and times in the formats of portals and people. A date without
// a time equals every time on that day.
func sameDate(want, got string) bool {
	if a, err := time.Parse(time.RFC3339, want); err == nil {
		b, err := time.Parse(time.RFC3339, got)
		return err == nil && a.Equal(b)
	}
	a, dayOnly, ok := wallClock(want)
	b, _, also := wallClock(got)
	if !ok || !also {
		return false
	}
	if dayOnly {
		return a.Format(time.DateOnly) == b.Format(time.DateOnly)
	}
	return a.Equal(b)
}

// IsDate reports whether a text is a date or a time in a format of portals or people.
func IsDate(text string) bool {
	_, _, ok := wallClock(text)
	return ok
}

// wallClock reads a date or time in the portal's zone.
func wallClock(s string) (t time.Time, dayOnly, ok bool) {
	for _, layout := range dayLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true, true
		}
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, strings.ToLower(s)); err == nil {
			return t, false, true
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t, false, true
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC), false, true
	}
	return time.Time{}, false, false
}

// Shape returns got in the form of want, so that a diff shows only real differences.
// Equal values get the text of want, and values that want does not name are omitted.
func Shape(want, got any, exact bool) any {
	if Equal(want, got, exact) {
		return want
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := map[string]any{}
		for name, x := range w {
			if v, there := g[name]; there || Equal(x, nil, exact) {
				out[name] = Shape(x, v, exact)
			}
		}
		if exact {
			for name, x := range g {
				if _, named := w[name]; !named && !Empty(x) {
					out[name] = x
				}
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok {
			return got
		}
		out := make([]any, len(g))
		for i, x := range g {
			out[i] = x
			if i < len(w) {
				out[i] = Shape(w[i], x, exact)
			}
		}
		return out
	}
	return got
}
