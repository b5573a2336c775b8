package yamlfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/wanttest"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

func lines(list diag.List) string {
	var b strings.Builder
	for _, f := range list {
		b.WriteString(f.Error() + "\n")
	}
	return b.String()
}

// TestFindings parses each broken file of the archive.
func TestFindings(t *testing.T) {
	files, err := wanttest.Read("testdata/findings.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			_, list := yamlfile.Parse(f.Name, f.Data)
			for _, problem := range wanttest.Problems([]txtar.File{f}, list) {
				t.Errorf("%s\n%s", problem, f.Data)
			}
		})
	}
}

// TestParseUnreadable has texts that an archive cannot hold.
func TestParseUnreadable(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{name: "UTF-16", src: "\xff\xfea\x00:\x00", want: "x:1:1: the file is UTF-16, it must be UTF-8 [yaml-encoding] (save it as UTF-8)\n"},
		{name: "UTF-16, big end first", src: "\xfe\xff\x00a\x00:", want: "x:1:1: the file is UTF-16, it must be UTF-8 [yaml-encoding] (save it as UTF-8)\n"},
		{name: "UTF-16 without a mark", src: "v\x00e\x00r\x00", want: "x:1:1: the file is UTF-16, it must be UTF-8 [yaml-encoding] (save it as UTF-8)\n"},
		{name: "UTF-16 without a mark, big end first", src: "\x00v\x00e\x00r", want: "x:1:1: the file is UTF-16, it must be UTF-8 [yaml-encoding] (save it as UTF-8)\n"},
		{name: "Latin-1", src: "a: caf\xe9\n", want: "x:1:7: the byte 0xe9 is not UTF-8 [yaml-encoding] (save the file as UTF-8)\n"},
		{name: "not UTF-8", src: "a: жж\xc3\x28\n", want: "x:1:6: the byte 0xc3 is not UTF-8 [yaml-encoding] (save the file as UTF-8)\n"},
		{name: "control character", src: "a: 1\nb: x\x01\n", want: "x:2:5: the control character U+0001 is not allowed in YAML [yaml-encoding] (remove it, or write it as an escape in double quotes)\n"},
		{name: "NUL", src: "\x00", want: "x:1:1: the control character U+0000 is not allowed in YAML [yaml-encoding] (remove it, or write it as an escape in double quotes)\n"},
		{name: "byte order mark", src: "\ufeffa: @\n", want: "x:1:4: a value cannot start with '@' [yaml-syntax] (quote it)\n"},
		{name: "CRLF", src: "a: 1\r\nb: @\r\n", want: "x:2:4: a value cannot start with '@' [yaml-syntax] (quote it)\n"},
		{name: "CR", src: "a: 1\rb: @\r", want: "x:2:4: a value cannot start with '@' [yaml-syntax] (quote it)\n"},
		{name: "too large", src: strings.Repeat("#", yamlfile.MaxBytes+1), want: "x:1:1: the file is larger than 1 MiB [yaml-limit] (split it into several files)\n"},
		{name: "too many nodes", src: "[" + strings.Repeat("1,", yamlfile.MaxNodes) + "]", want: "x:1:1: the file has more than 100000 nodes with its aliases expanded [yaml-limit]\n"},
		{name: "alias bomb", src: bomb(), want: "x:1:1: the file has more than 100000 nodes with its aliases expanded [yaml-limit]\n"},
		{name: "very deep", src: strings.Repeat("[", 20000), want: "x:1:10001: nested deeper than 50 levels [yaml-limit]\n"},
		{name: "empty", src: ""},
		{name: "only a comment", src: "# nothing\n"},
		{name: "only null", src: "---\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, list := yamlfile.Parse("x", []byte(tt.src))
			if diff := cmp.Diff(tt.want, lines(list)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if f == nil || f.Root != nil {
				t.Errorf("the file is %+v, want one without a root", f)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("- &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "- &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	return b.String()
}

func TestFindingsAreCapped(t *testing.T) {
	_, list := yamlfile.Parse("x", []byte(strings.Repeat("a: 1\n", 5000)))
	if len(list) < 50 || len(list) > 200 {
		t.Errorf("%d findings for 5000 duplicate keys", len(list))
	}
}

// TestRepair checks that the tree has what the author meant, so that no later check reports
// the same mistake again.
func TestRepair(t *testing.T) {
	tests := []struct{ src, want string }{
		{"{a: =f(x, y), b: 1}", "a==f(x, y) b=1"},
		{"a: =sum(rows, #.p)", "a==sum(rows, #.p)"},
		{"a: {{ x }}", "a={{ x }}"},
		{"a: !x.y", "a==!x.y"},
		{"{a: =f(x, y, z), b: =g(1)}", "a==f(x, y, z) b==g(1)"},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			f, list := yamlfile.Parse("x", []byte(tt.src))
			if len(list) != 1 {
				t.Errorf("findings: %v", list)
			}
			m, _ := f.Mapping(f.Root)
			var got []string
			for _, e := range m.Entries {
				got = append(got, e.Name+"="+e.Value.Value)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestFormulaTrap(t *testing.T) {
	tests := []struct{ src, message, hint string }{
		{"a: =x + #.y", `YAML takes " #" as the start of a comment, and the formula ends before it`, "write .field instead of #.field, or quote it: '=x + #.y'"},
		{"a: =x == ''y''", "a doubled quote means one quote only inside '…'", "write one quote, or quote the whole: \"=x == 'y'\""},
		{"a: =x +", "", ""},
		{"a: '=x +' # y", "", ""},
		{"a: =x#y", "", ""},
		{"{a: =f(x, 2}", "inside {} and [] a comma ends the value, and the formula is cut in two", "quote the whole formula"},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			f, _ := yamlfile.Parse("x", []byte(tt.src))
			m, _ := f.Mapping(f.Root)
			message, hint := yamlfile.FormulaTrap(f, m.Entries[0].Value)
			if message != tt.message || hint != tt.hint {
				t.Errorf("got %q (%s)", message, hint)
			}
		})
	}
}

func TestMapping(t *testing.T) {
	const src = `
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
one:
  <<: [*base, *other]
  d: 5
  a: 6
two: &two
  <<: *base
three: *two
four: 4
`
	f, list := yamlfile.Parse("x", []byte(src))
	if len(list) > 0 {
		t.Fatal(list)
	}
	top, _ := f.Mapping(f.Root)
	for name, want := range map[string]string{"one": "d=5 a=6 b=2 c=4", "two": "a=1 b=2", "three": "a=1 b=2"} {
		e, _ := top.Get(name)
		m, list := f.Mapping(e.Value)
		if len(list) > 0 {
			t.Error(list)
		}
		var got []string
		for _, e := range m.Entries {
			got = append(got, e.Name+"="+e.Value.Value)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s is %s, want %s", name, s, want)
		}
	}
	four, _ := top.Get("four")
	if _, list := f.Mapping(four.Value); lines(list) != "x:11:7: expected a mapping, got the number 4 [wrong-type]\n" {
		t.Error(list)
	}
	if _, list := f.Mapping(nil); lines(list) != "x:1:1: expected a mapping, got nothing [wrong-type]\n" {
		t.Error(list)
	}
	if _, ok := top.Get("five"); ok {
		t.Error("there is no five")
	}
}

func TestLine(t *testing.T) {
	f, _ := yamlfile.Parse("x", []byte("\ufeffa: 1\r\nb: ж\nc: 3"))
	for i, want := range []string{"", "a: 1", "b: ж", "c: 3", ""} {
		if got := f.Line(i); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}
