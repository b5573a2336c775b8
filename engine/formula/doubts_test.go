package formula_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
)

func doubtEnv() formula.Env {
	num, text := formula.Type{Kind: formula.Int}, formula.Type{Kind: formula.String}
	return formula.Env{
		Vars: map[string]formula.Type{
			"event": formula.RecordOf(map[string]formula.Type{"id": num, "added": {Kind: formula.Bool}}),
			"deal":  formula.OpenRecord(map[string]formula.Type{"opportunity": num, "stageId": text}),
			"rows":  formula.ListOf(formula.RecordOf(map[string]formula.Type{"price": num})),
			"x":     num,
		},
		Absent: map[string]string{"event.name": "no event name"},
	}
}

func TestDoubts(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"true", ``}, // a value; the engine knows where it is a condition
		{"event.added || true", `0-19 constant-condition: this condition is always true`},
		{"event.added && 1 == 2", `0-21 constant-condition: this condition is always false`},
		{"x > 1 && 2 > 1", `9-14 constant-condition: this condition is always true`},
		{"x == x", `0-6 constant-condition: this condition is always true`},
		{"x == 1 && x == 2", `0-16 constant-condition: this condition is always false`},
		{"x != 1 || x != 2", `0-16 constant-condition: this condition is always true`},
		{"x == 1 && x == 1.0", ``},
		{"false ? 1 : 2", `0-5 constant-condition: this condition is always false`},
		{"x in []", `0-7 constant-condition: this condition is always false`},
		{"deal.opportunty > 1", `5-15 doubtful-field: no field "opportunty" is known here`},
		{"deal.ufCrmOpportunity > 1 && deal.parentId177 > 2", ``},
		{"x > 1 && event.added", ``},
		{"filter(rows, .price > 0)", ``},
	} {
		f, problems := formula.Compile(tt.src, doubtEnv())
		if len(problems) > 0 {
			t.Errorf("%s: %v", tt.src, problems)
			continue
		}
		var got []string
		for _, d := range f.Doubts() {
			got = append(got, fmt.Sprintf("%d-%d %s: %s", d.From, d.To, d.Code, d.Text()))
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%s: doubts %s, want %s", tt.src, s, tt.want)
		}
	}
}

func TestPaths(t *testing.T) {
	f, problems := formula.Compile(`let y = event.id; sum(rows, .price * y) + x + (deal?.opportunity ?? 0) + len(deal["stageId"])`, doubtEnv())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"deal.opportunity", "deal.stageId", "event.id", "rows", "x"}, f.Paths()); diff != "" {
		t.Error(diff)
	}
	_, problems = formula.Compile(`event.name == "x"`, doubtEnv())
	if len(problems) != 1 || problems[0].Hint != "no event name" {
		t.Errorf("absent field: %v", problems)
	}
}
