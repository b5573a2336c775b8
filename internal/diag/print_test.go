package diag_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

// print prints one finding over the line with carets under columns from…to.
func print(t *testing.T, line string, from, to int) string {
	t.Helper()
	f := diag.Finding{Pos: diag.Pos{File: "a.yaml", Line: 1, Column: from}, Message: "wrong", Code: "c"}
	if to > 0 {
		f.EndLine, f.EndColumn = 1, to
	}
	var b strings.Builder
	if err := diag.WriteText(&b, diag.List{f}, func(string) []byte { return []byte(line) }, false); err != nil {
		t.Fatal(err)
	}
	_, excerpt, _ := strings.Cut(b.String(), "\n")
	return excerpt
}

func TestCaret(t *testing.T) {
	tests := []struct {
		name, line string
		from, to   int
		want       string
	}{
		{name: "ASCII", line: "a: txt", from: 4, want: "1 | a: txt\n  |    ^\n"},
		{name: "a word", line: "a: txt", from: 4, to: 7, want: "1 | a: txt\n  |    ^~~\n"},
		{name: "Cyrillic", line: "имя: сумма", from: 6, to: 11, want: "1 | имя: сумма\n  |      ^~~~~\n"},
		{name: "tab before", line: "\ta: x", from: 5, want: "1 |     a: x\n  |        ^\n"},
		{name: "tab inside", line: "ab\tc", from: 4, want: "1 | ab  c\n  |     ^\n"},
		{name: "under a tab", line: "a\tb", from: 2, to: 3, want: "1 | a   b\n  |  ^~~\n"},
		{name: "wide", line: "名前: x", from: 5, want: "1 | 名前: x\n  |       ^\n"},
		{name: "under wide", line: "名前: x", from: 1, to: 3, want: "1 | 名前: x\n  | ^~~~\n"},
		{name: "emoji", line: "👍: x", from: 4, want: "1 | 👍: x\n  |     ^\n"},
		{name: "combining", line: "e\u0301: x", from: 5, want: "1 | e\u0301: x\n  |    ^\n"},
		{name: "joined emoji", line: "a\u200db: x", from: 6, want: "1 | a\u200db: x\n  |     ^\n"},
		{name: "after the line", line: "a: x", from: 5, want: "1 | a: x\n  |     ^\n"},
		{name: "far after the line", line: "a: x", from: 99, want: "1 | a: x\n  |     ^\n"},
		{name: "control characters", line: "a: \x1b[2J\u202ex", from: 9, want: "1 | a: \ufffd[2J\ufffdx\n  |         ^\n"},
		{name: "byte order mark", line: "\ufeffa: x", from: 4, want: "1 | a: x\n  |    ^\n"},
		{name: "CRLF", line: "a: x\r\nb: y\r\n", from: 4, want: "1 | a: x\n  |    ^\n"},
		{name: "empty line", line: "", from: 1, want: "1 | \n  | ^\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, print(t, tt.line, tt.from, tt.to)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLongLine(t *testing.T) {
	line := strings.Repeat("a", 500) + "X" + strings.Repeat("b", 500)
	lines := strings.Split(print(t, line, 501, 502), "\n")
	if len([]rune(lines[0])) > 170 || !strings.HasPrefix(lines[0], "1 | …a") || !strings.HasSuffix(lines[0], "b…") {
		t.Errorf("the line is %q", lines[0])
	}
	if at := strings.IndexRune(lines[1], '^'); at < 0 || []rune(lines[0])[at] != 'X' {
		t.Errorf("the caret is not under the X:\n%s\n%s", lines[0], lines[1])
	}
}

func TestWriteText(t *testing.T) {
	src := func(file string) []byte {
		if file == "a.yaml" {
			return []byte("one\ntwo three\n\n\n\n\n\n\n\nten\n")
		}
		return nil
	}
	l := diag.List{
		{Pos: diag.Pos{File: "a.yaml", Line: 2, Column: 5}, EndLine: 2, EndColumn: 10, Code: "x", Message: "m", Hint: "h"},
		{Pos: diag.Pos{File: "a.yaml", Line: 10, Column: 1}, EndLine: 11, EndColumn: 1, Severity: diag.Warning, Code: "y", Message: "n"},
		{Pos: diag.Pos{File: "a.yaml", Line: 99, Column: 1}, Code: "z", Message: "beyond"},
		{Pos: diag.Pos{File: "gone.yaml", Line: 1, Column: 1}, Code: "z", Message: "no text"},
		{Pos: diag.Pos{File: "a.yaml"}, Message: "the file"},
	}
	var b strings.Builder
	if err := diag.WriteText(&b, l, src, false); err != nil {
		t.Fatal(err)
	}
	const want = `a.yaml:2:5: m [x] (h)
2 | two three
  |     ^~~~~
a.yaml:10:1: warning: n [y]
10 | ten
   | ^~~
a.yaml:99:1: beyond [z]
gone.yaml:1:1: no text [z]
a.yaml: the file
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.Reset()
	if err := diag.WriteText(&b, l[:1], src, true); err != nil {
		t.Fatal(err)
	}
	const coloured = "\x1b[1ma.yaml:2:5:\x1b[0m m \x1b[1;31m[x]\x1b[0m (h)\n2 | two three\n  |     \x1b[1;32m^~~~~\x1b[0m\n"
	if diff := cmp.Diff(coloured, b.String()); diff != "" {
		t.Errorf("in colour (-want +got)\n%s", diff)
	}
	b.Reset()
	if err := diag.WriteText(&b, l[:1], nil, false); err != nil || b.String() != "a.yaml:2:5: m [x] (h)\n" {
		t.Errorf("without sources: %q, %v", b.String(), err)
	}
}

func TestWriteJSON(t *testing.T) {
	var b strings.Builder
	l := diag.List{
		{Pos: diag.Pos{File: "a.yaml", Line: 2, Column: 5}, EndLine: 2, EndColumn: 10, Code: "x", Message: "a < b", Hint: "h"},
		{Pos: diag.Pos{File: "a.yaml", Line: 3, Column: 1}, Severity: diag.Warning, Code: "y", Message: "n"},
	}
	if err := diag.WriteJSON(&b, l); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "version": 1,
  "findings": [
    {
      "file": "a.yaml",
      "line": 2,
      "column": 5,
      "endLine": 2,
      "endColumn": 10,
      "severity": "error",
      "code": "x",
      "message": "a < b",
      "hint": "h"
    },
    {
      "file": "a.yaml",
      "line": 3,
      "column": 1,
      "endLine": 3,
      "endColumn": 1,
      "severity": "warning",
      "code": "y",
      "message": "n",
      "hint": ""
    }
  ]
}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.Reset()
	if err := diag.WriteJSON(&b, nil); err != nil || b.String() != "{\n  \"version\": 1,\n  \"findings\": []\n}\n" {
		t.Errorf("nothing is %s, %v", b.String(), err)
	}
}
