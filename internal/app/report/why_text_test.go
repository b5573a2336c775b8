package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitFields(t *testing.T) {
	got := splitFields(`NAME: {{ row.name }}, old, =inputs.sum: =round(row.price * row.quantity, 2), TAGS: [a, b: c], LAST: =f({a: 1, b: 2})`)
	want := []fieldPart{
		{"NAME", false, "{{ row.name }}, old"},
		{"sum", true, "=round(row.price * row.quantity, 2)"},
		{"TAGS", false, "[a, b: c]"},
		{"LAST", false, "=f({a: 1, b: 2})"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fieldPart{})); diff != "" {
		t.Error(diff)
	}
	if got := splitFields("no field"); got != nil {
		t.Errorf("%v", got)
	}
}
