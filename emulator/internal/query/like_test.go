package query

import "testing"

func TestLike(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"tile", "tile", true},
		{"tile", "til", false},
		{"tile", "t%", true},
		{"tile", "%le", true},
		{"tile", "%i%", true},
		{"tile", "t__e", true},
		{"tile", "t_e", false},
		{"tile", "%t%e%", true},
		{"aab", "%ab", true},
		{"", "%", true},
		{"", "_", false},
		{"жук", "_ук", true},
	} {
		if got := like(c.text, c.pattern); got != c.want {
			t.Errorf("%q like %q: %t", c.text, c.pattern, got)
		}
	}
}
