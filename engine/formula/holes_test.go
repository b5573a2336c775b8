package formula_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
)

func TestHoles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"no hole", nil},
		{"Сделка {{ event.id }}: {{= row.name}}", []string{" event.id ", "= row.name"}},
		{`{{ "}}" }} and {{ {a: {b: 1}}.a.b }}`, []string{` "}}" `, " {a: {b: 1}}.a.b "}},
		{"{{ a }}{{ never closed", []string{" a "}},
	} {
		var got []string
		for _, h := range formula.Holes(tt.text) {
			got = append(got, string([]rune(tt.text)[h.From:h.To]))
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: holes (-want +got):\n%s", tt.text, d)
		}
	}
}
