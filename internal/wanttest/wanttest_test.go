package wanttest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/wanttest"
)

func TestProblems(t *testing.T) {
	at := func(line, column int) diag.Pos { return diag.Pos{File: "a.yaml", Line: line, Column: column} }
	finding := diag.Finding{Pos: at(2, 4), Code: "bad-name", Message: `the name "x" is taken`, Hint: "choose another"}
	warning := finding
	warning.Severity = diag.Warning
	tests := []struct {
		name, text string
		list       diag.List
		want       []string
	}{
		{"the message", "a\nb # want bad-name `the name \"x\"`\n", diag.List{finding}, nil},
		{"in quotes, with the hint and the column", "a\nb # want bad-name:4 \"the .*choose\"\n", diag.List{finding}, nil},
		{"on the line before", "# want+1 bad-name `the`\nb\n", diag.List{finding}, nil},
		{"on a line below", "a\nb\nc\n  # want-2 bad-name `the`\n", diag.List{finding}, nil},
		{"a warning", "a\nb # want bad-name `warning: the`\n", diag.List{warning}, nil},
		{"two on a line", "a\nb # want bad-name `warning` bad-name `the`\n", diag.List{finding, warning}, nil},
		{"Windows", "a\r\nb # want bad-name `the`\r\n", diag.List{finding}, nil},
		{"none", "a\nb # wanted: nothing\n", nil, nil},
		{
			"a finding without a want", "a\nb\n",
			diag.List{finding},
			[]string{`no want for the finding a.yaml:2:4: the name "x" is taken [bad-name] (choose another)`},
		},
		{"a want without a finding", "a # want bad-name `x`\n", nil, []string{"no finding for the want a.yaml:1: bad-name `x`"}},
		{
			"one want for two findings", "a\nb # want bad-name `.*the`\n",
			diag.List{finding, warning},
			[]string{`no want for the finding a.yaml:2:4: warning: the name "x" is taken [bad-name] (choose another)`},
		},
		{
			"an error is no warning", "a\nb # want bad-name:4 `warning: the`\n",
			diag.List{finding},
			[]string{
				`no want for the finding a.yaml:2:4: the name "x" is taken [bad-name] (choose another)`,
				"no finding for the want a.yaml:2:4: bad-name `warning: the`",
			},
		},
		{"another column", "a\nb # want bad-name:5 `the`\n", diag.List{finding}, []string{
			`no want for the finding a.yaml:2:4: the name "x" is taken [bad-name] (choose another)`,
			"no finding for the want a.yaml:2:5: bad-name `the`",
		}},
		{"not quoted", "a # want bad-name the\n", nil, []string{"a.yaml:1: the expression of bad-name is not quoted: the"}},
		{"no code", "a # want `the`\n", nil, []string{"a.yaml:1: need a code and an expression, got \"`the`\""}},
		{"no expression", "a # want bad-name `(`\n", nil, []string{"a.yaml:1: the expression of bad-name: error parsing regexp: missing closing ): `^(?:()`"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := wanttest.Problems([]txtar.File{{Name: "a.yaml", Data: []byte(tt.text)}}, tt.list)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
