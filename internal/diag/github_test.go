package diag_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

func TestWriteGitHub(t *testing.T) {
	at := func(line, col int) diag.Pos { return diag.Pos{File: "a,b/c:d.yaml", Line: line, Column: col} }
	var b bytes.Buffer
	err := diag.WriteGitHub(&b, diag.List{
		{Pos: at(2, 5), EndLine: 2, EndColumn: 10, Code: "x", Message: "100% wrong\nreally: yes, so", Hint: "h"},
		{Pos: at(3, 1), EndLine: 5, EndColumn: 2, Severity: diag.Warning, Code: "y", Message: "several lines"},
		{Pos: diag.Pos{File: "e.yaml"}, Code: "z", Message: "no place"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `::error file=a%2Cb/c%3Ad.yaml,line=2,col=5,endColumn=9,title=x::100%25 wrong%0Areally: yes, so (h)
::warning file=a%2Cb/c%3Ad.yaml,line=3,col=1,endLine=5,title=y::several lines
::error file=e.yaml,title=z::no place
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
