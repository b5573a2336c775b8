package diag_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

func TestAllow(t *testing.T) {
	known := []string{"unused-name", "ring"}
	warning := diag.Finding{Pos: diag.Pos{File: "a.yaml", Line: 2, Column: 1}, Severity: diag.Warning, Code: "ring", Message: "m"}
	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"at the end of the line", "a\nb # b24rules: allow ring because\n", nil},
		{"on the line above", "# b24rules: allow ring because\nb\n", nil},
		{"on another line", "a # b24rules: allow ring because\nb\n", []string{"1 unused-allow", "2 ring"}},
		{"another code", "a\nb # b24rules: allow unused-name because\n", []string{"2 ring", "2 unused-allow"}},
		{"no reason", "a\nb # b24rules: allow ring\n", []string{"2 ring", "2 bad-allow"}},
		{"a blank is no reason", "a\nb # b24rules: allow ring  \n", []string{"2 ring", "2 bad-allow"}},
		{"no code", "a\nb # b24rules: allow\n", []string{"2 ring", "2 bad-allow"}},
		{"unknown code", "a\nb # b24rules: allow rnig because\n", []string{"2 ring", "2 bad-allow"}},
		{"another verb", "a\nb # b24rules: ignore ring because\n", []string{"2 ring", "2 bad-allow"}},
		{"in quotes", "a\nb: \"# b24rules: allow ring because\"\n", []string{"2 ring"}},
		{"inside a word", "a\nb#b24rules: allow ring because\n", []string{"2 ring"}},
		{"with a BOM and CRLF", "\ufeff# b24rules: allow ring потому что\r\nb\r\n", nil},
		{"without blanks", "a\nb #b24rules:allow ring because\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range diag.Allow(diag.List{warning}, "a.yaml", []byte(tt.line), known) {
				got = append(got, fmt.Sprint(f.Line, " ", f.Code))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	below := warning
	below.Line = 4
	if got := diag.Allow(diag.List{below}, "a.yaml", []byte("# b24rules: allow ring because\n\n# more\nb\n"), known); len(got) != 0 {
		t.Errorf("above blank lines and comments: %v", got)
	}
	bad := warning
	bad.Severity = diag.Error
	got := diag.Allow(diag.List{bad}, "a.yaml", []byte("a\nb # b24rules: allow ring because\n"), known)
	if len(got) != 2 || got[1].Code != "bad-allow" || got[1].Column != 3 || got[1].EndColumn != 33 {
		t.Errorf("an allowed error: %+v", got)
	}
	if got := diag.Allow(diag.List{warning}, "b.yaml", []byte("a\nb # b24rules: allow ring because\n"), known); len(got) != 2 {
		t.Errorf("another file: %v", got)
	}
}
