package report

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiffLines(t *testing.T) {
	t.Parallel()
	long := func(change int) string {
		var b strings.Builder
		for i := range 4000 {
			if i == change || i == change+2000 {
				b.WriteString("changed ")
			}
			fmt.Fprintln(&b, "line", i)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, before, after, want string }{
		{"the same", "a\nb\n", "a\nb\n", ""},
		{"line ends do not count", "a\r\nb\r\n", "\ufeffa\nb", ""},
		{"from nothing", "", "a\nb\n", "+1 a,+2 b"},
		{"to nothing", "a\n", "", "-1 a"},
		{"one line", "a\nb\nc\n", "a\nB\nc\n", "-2 b,+2 B"},
		{"a line more", "a\nc\n", "a\nb\nc\n", "+2 b"},
		{"a line less", "a\nb\nb\nc\n", "a\nb\nc\n", "-3 b"},
		{"two places", "a\nb\nc\nd\ne\n", "A\nb\nc\nd\nE\n", "-1 a,+1 A,-5 e,+5 E"},
		{"moved", "a\nb\nc\n", "b\nc\na\n", "-1 a,+3 a"},
	} {
		var got []string
		for _, l := range DiffLines(tt.before, tt.after) {
			got = append(got, fmt.Sprint(l.Op, l.Line, " ", l.Text))
		}
		if text := strings.Join(got, ","); text != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
	if got := DiffLines(long(-5000), long(10)); len(got) != 2*2001 {
		t.Errorf("a long part is replaced by %d lines", len(got))
	}
}
