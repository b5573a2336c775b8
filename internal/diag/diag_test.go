package diag_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

func TestPosString(t *testing.T) {
	for _, tt := range []struct {
		pos  diag.Pos
		want string
	}{
		{diag.Pos{File: "a.yaml", Line: 3, Column: 7}, "a.yaml:3:7"},
		{diag.Pos{File: "a.yaml", Line: 3}, "a.yaml:3"},
		{diag.Pos{File: "a.yaml"}, "a.yaml"},
		{diag.Pos{Line: 3, Column: 7}, "3:7"},
		{diag.Pos{}, ""},
	} {
		if got := tt.pos.String(); got != tt.want {
			t.Errorf("%#v is %q, want %q", tt.pos, got, tt.want)
		}
	}
}

func TestFindingError(t *testing.T) {
	for _, tt := range []struct {
		finding diag.Finding
		want    string
	}{
		{
			diag.Finding{Pos: diag.Pos{File: "a.yaml", Line: 3, Column: 7}, Code: "unknown-key", Message: `unknown key "txt"`, Hint: `did you mean "text"?`},
			`a.yaml:3:7: unknown key "txt" [unknown-key] (did you mean "text"?)`,
		},
		{diag.Finding{Severity: diag.Warning, Code: "c", Message: "m"}, "warning: m [c]"},
		{diag.Finding{Pos: diag.Pos{File: "a\x1b[2J"}, Message: "x\ny\u202ez"}, "a\ufffd[2J: x y\ufffdz"},
	} {
		if got := tt.finding.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
		if got := fmt.Sprint(tt.finding); got != tt.want {
			t.Errorf("printed %q", got)
		}
	}
}

func TestListSort(t *testing.T) {
	at := func(file string, line, column int) diag.Pos { return diag.Pos{File: file, Line: line, Column: column} }
	var l diag.List
	l.Errorf(at("b", 1, 1), "c", "one")
	l.Errorf(at("a", 2, 1), "c", "two")
	l.Errorf(at("a", 1, 9), "c", "three")
	l.Errorf(at("a", 1, 2), "c", "second here")
	l.Warnf(at("a", 1, 2), "c", "first %s", "here").Hint = "h"
	l.Errorf(at("a", 1, 2), "c", "second here")
	l.Sort()
	var got []string
	for _, f := range l {
		got = append(got, f.Error())
	}
	want := []string{"a:1:2: second here [c]", "a:1:2: warning: first here [c] (h)", "a:1:9: three [c]", "a:2:1: two [c]", "b:1:1: one [c]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestListErr(t *testing.T) {
	var l diag.List
	if err := l.Err(); err != nil {
		t.Errorf("an empty list is the error %v", err)
	}
	l.Warnf(diag.Pos{}, "w", "careful")
	if err := l.Err(); err != nil || l.HasErrors() {
		t.Errorf("warnings are the error %v", err)
	}
	l.Errorf(diag.Pos{File: "a"}, "e", "wrong")
	err := l.Err()
	if err == nil || err.Error() != "warning: careful [w]\na: wrong [e]" {
		t.Errorf("got %v", err)
	}
	var f diag.Finding
	if !errors.As(err, &f) || f.Code != "w" {
		t.Errorf("errors.As gives %+v", f)
	}
	l[1].Message = "changed"
	if err.Error() != "warning: careful [w]\na: wrong [e]" {
		t.Error("the error changes with the list")
	}
}

func TestClosest(t *testing.T) {
	fields := []string{"title", "text", "entity", "entityTypeId", "price", "quantity", "id", "сумма"}
	for word, want := range map[string]string{
		"txt": "text", "Title": "title", "tilte": "title", "pryce": "price", "entity_type_id": "entityTypeId",
		"ENTITY": "entity", "quantiti": "quantity", "сума": "сумма", "id": "id",
		"": "", "zzz": "", "x": "", "ix": "", "description": "",
	} {
		if got := diag.Closest(word, fields); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := diag.Closest("abcd", []string{"abce", "abcf"}); got != "abce" {
		t.Errorf("of two equally near ones it gives %q, want the first", got)
	}
	if got := diag.Closest("price", []string{"", "Price", "price"}); got != "Price" {
		t.Errorf("got %q", got)
	}
	if got := diag.Closest("рriсе", fields); got != "price" { // three Cyrillic letters
		t.Errorf("got %q for letters that look the same", got)
	}
	if got, want := diag.Lookalike("рriсе", "price"), " The р, с, е here is Cyrillic"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := diag.Lookalike("pryce", "price"); got != "" {
		t.Errorf("got %q for Latin letters", got)
	}
	if got := diag.Closest("x", nil); got != "" {
		t.Errorf("got %q without candidates", got)
	}
}

func ExampleList() {
	var l diag.List
	l.Errorf(diag.Pos{File: "won.yaml", Line: 12, Column: 17}, "unknown-key", "unknown key %q", "txt").Hint = `did you mean "text"?`
	fmt.Println(l.Err())
	// Output: won.yaml:12:17: unknown key "txt" [unknown-key] (did you mean "text"?)
}

func TestFindingKeepsValuesApart(t *testing.T) {
	var l diag.List
	l.Errorf(diag.Pos{}, "x", "%s takes %d, this is %q", diag.Phrasef("a list"), 3, "50%").Hintf("write %d", 3)
	l.Warnf(diag.Pos{}, "y", "100%% sure").Hint = "write 50%"
	f := l[0]
	if f.Message != "%s takes %d, this is %q" || len(f.Args) != 3 || f.Hint != "write %d" || len(f.HintArgs) != 1 {
		t.Errorf("format and values: %+v", f)
	}
	if f.Text() != `a list takes 3, this is "50%"` || f.HintText() != "write 3" {
		t.Errorf("text %q, hint %q", f.Text(), f.HintText())
	}
	if f := l[1]; f.Text() != "100% sure" || f.HintText() != "write 50%" {
		t.Errorf("without values: text %q, hint %q", f.Text(), f.HintText())
	}
	l = append(l, l[0])
	if l.Sort(); len(l) != 2 {
		t.Errorf("%d findings after Sort, want 2", len(l))
	}
}
