package diag_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

type gitlabIssue struct {
	Description string `json:"description"`
	CheckName   string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

func gitlabReport(t *testing.T, l diag.List) []gitlabIssue {
	t.Helper()
	var b bytes.Buffer
	if err := diag.WriteGitLab(&b, l); err != nil {
		t.Fatal(err)
	}
	var out []gitlabIssue
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out == nil {
		t.Fatalf("no list: %v\n%s", err, b.String())
	}
	return out
}

func TestWriteGitLab(t *testing.T) {
	at := func(line int) diag.Pos { return diag.Pos{File: "./rules/a.yaml", Line: line, Column: 3} }
	list := diag.List{
		{Pos: at(2), Code: "x", Message: "wrong", Hint: "do so"},
		{Pos: at(9), Code: "x", Message: "wrong", Hint: "do so"},
		{Pos: diag.Pos{File: "b.yaml"}, Severity: diag.Warning, Code: "y", Message: "no line"},
		{Code: "z", Message: "nowhere"},
	}
	got := gitlabReport(t, list)
	prints := map[string]bool{}
	for i := range got {
		if len(got[i].Fingerprint) != 32 || prints[got[i].Fingerprint] {
			t.Errorf("fingerprint %q", got[i].Fingerprint)
		}
		prints[got[i].Fingerprint] = true
	}
	moved := diag.List{list[0], list[1]}
	moved[0].Line, moved[1].Line = 5, 12
	for i, issue := range gitlabReport(t, moved) {
		if issue.Fingerprint != got[i].Fingerprint {
			t.Error("a finding that moved is taken for another one")
		}
	}
	for i := range got {
		got[i].Fingerprint = ""
	}
	var want []gitlabIssue
	if err := json.Unmarshal([]byte(`[
	 {"description": "wrong (do so)", "check_name": "x", "severity": "major", "location": {"path": "rules/a.yaml", "lines": {"begin": 2}}},
	 {"description": "wrong (do so)", "check_name": "x", "severity": "major", "location": {"path": "rules/a.yaml", "lines": {"begin": 9}}},
	 {"description": "no line", "check_name": "y", "severity": "minor", "location": {"path": "b.yaml", "lines": {"begin": 1}}}]`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if none := gitlabReport(t, nil); len(none) != 0 {
		t.Errorf("no findings give %v", none)
	}
}
