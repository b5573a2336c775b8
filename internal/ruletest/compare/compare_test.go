package compare

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFits(t *testing.T) {
	n := func(s string) json.Number { return json.Number(s) }
	tests := []struct {
		name      string
		want, got any
		exact     bool
		fits      bool
	}{
		{"a number as text", n("10.5"), "10.50", false, true},
		{"text as a number", "10.50", n("10.5"), false, true},
		{"another number", n("10.5"), "10.51", false, false},
		{"exact beyond floats", n("9007199254740993"), "9007199254740992", false, false},
		{"text is text", "007", "7", false, false},
		{"a flag", true, "Y", false, true},
		{"no flag", false, "N", false, true},
		{"an empty flag", false, nil, false, true},
		{"not that flag", true, "N", false, false},
		{"nothing", nil, "", false, true},
		{"not nothing", nil, "0", false, false},
		{"no list", nil, []any{}, false, true},
		{"one of one", "a", []any{"a"}, false, true},
		{"a list of one", []any{"a"}, "a", false, true},
		{"a longer list", []any{"a"}, []any{"a", "b"}, false, false},
		{"order counts", []any{"a", "b"}, []any{"b", "a"}, false, false},
		{"a pattern", "/^b24r-/", "b24r-1", false, true},
		{"not the pattern", "/^b24r-$/", "b24r-1", false, false},
		{"a day in the portal's form", "2026-01-02", "01/02/2026", false, true},
		{"a day with an offset", "2026-01-02", "2026-01-02T03:00:00+03:00", false, true},
		{"another day", "2026-01-03", "01/02/2026", false, false},
		{"a moment", "2026-01-02T12:00:00+03:00", "2026-01-02T09:00:00Z", false, true},
		{"a wall clock", "2026-01-02 13:04:05", "01/02/2026 01:04:05 pm", false, true},
		{"named fields", map[string]any{"a": n("1")}, map[string]any{"a": "1", "b": "2"}, false, true},
		{"all fields", map[string]any{"a": n("1")}, map[string]any{"a": "1", "b": "2"}, true, false},
		{"all fields but empty ones", map[string]any{"a": n("1")}, map[string]any{"a": "1", "b": ""}, true, true},
		{"a missing field", map[string]any{"a": n("1"), "b": nil}, map[string]any{"a": "1"}, true, true},
		{"no 0 in an item", ZeroNumber{}, nil, false, true},
		{"a 0 in an item", ZeroNumber{}, n("0.00"), false, true},
		{"1 is not 0", ZeroNumber{}, n("1"), false, false},
	}
	for _, test := range tests {
		if got := Equal(test.want, test.got, test.exact); got != test.fits {
			t.Errorf("%s: %v fits %v: %v", test.name, test.want, test.got, got)
		}
		// What does not fit has to show in a diff, what fits must not.
		d := Diff(Render(test.want), Render(Shape(test.want, test.got, test.exact)))
		if (d == "") != test.fits {
			t.Errorf("%s: the diff is %q", test.name, d)
		}
	}
}

func TestUnified(t *testing.T) {
	split := func(s string) []string { return strings.Split(s, " ") }
	for _, test := range []struct{ want, got, diff string }{
		{"a b c", "a b c", ""},
		{"a b c", "a x c", "  a\n- b\n+ x\n  c\n"},
		{"1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 x", "  …\n  6\n  7\n  8\n- 9\n+ x\n"},
		{"x 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 9", "- x\n+ 1\n  2\n  3\n  4\n  …\n"},
		{"a", "b a", "+ b\n  a\n"},
	} {
		if got := Diff(split(test.want), split(test.got)); got != test.diff {
			t.Errorf("%s, %s: %q, want %q", test.want, test.got, got, test.diff)
		}
	}
}

func TestRender(t *testing.T) {
	doc := map[string]any{
		"b": []any{map[string]any{"x": json.Number("1"), "y": []any{}}, "text"},
		"a": "yes", "c": "10", "d": nil, "e": "a: b", "f": "Крыша × 3", "g": map[string]any{"h": true},
	}
	want := `a: "yes"
b:
  - x: 1
    y: []
  - text
c: "10"
d: null
e: "a: b"
f: Крыша × 3
g:
  h: true`
	if got := strings.Join(Render(doc), "\n"); got != want {
		t.Errorf("got\n%s", got)
	}
}
