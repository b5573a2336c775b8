package formula_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

// TestTextOf checks that textOf knows from which field of which records a value is, also
// through defaults, names and loops, and says what it cannot know.
func TestTextOf(t *testing.T) {
	from := func(s formula.Source, fields map[string]formula.Type) formula.Type {
		r := formula.OpenRecord(fields)
		r.Domain = &formula.Domain{Source: &s}
		return r
	}
	kind := formula.Type{Kind: formula.Any, Domain: &formula.Domain{Code: "never-equal", Titles: formula.Titles("ufCrm_KIND", []string{"Retail", "Wholesale"})}}
	deal := from(formula.Source{ID: 2}, map[string]formula.Type{"stageId": text, "ufCrm_KIND": kind.Optional(), "kinds": formula.ListOf(formula.Type{})})
	env := formula.Env{Vars: map[string]formula.Type{
		"deal": deal, "deals": formula.ListOf(deal), "item": from(formula.Source{Input: "type"}, nil), "element": from(formula.Source{Input: "list", List: true, ListType: "lists"}, nil),
		"any": from(formula.Source{}, nil), "thing": {}, "inputs": formula.RecordOf(map[string]formula.Type{"type": whole, "list": whole}),
	}}
	vars := map[string]any{
		"deal":    record{"stageId": "C5:WON", "ufCrm_KIND": n("47"), "kinds": list(n("47"), n("48")), "old": n("9"), "none": nil, "zero": n("0"), "empty": "", "php": false},
		"deals":   list(record{"stageId": "NEW"}, record{"stageId": "WON"}),
		"item":    record{"ufCrm5Kind": n("47")},
		"element": record{"KIND": n("47")},
		"inputs":  record{"type": n("1072"), "list": n("3")},
	}
	machine := formula.NewMachine(t.Context()).In(formula.Locale{Choice: func(of formula.Choice, id string) (string, error) {
		if id == "9" {
			return "", errors.New("no such choice")
		}
		return fmt.Sprintf("%d/%t/%s/%s", of.ID, of.List, of.Field, id), nil
	}})
	for src, want := range map[string]any{
		"textOf(deal.stageId) ?? ''":                                "2/false/stageId/C5:WON",
		"textOf(deal.ufCrm_KIND ?? 0) ?? ''":                        "2/false/ufCrm_KIND/47",
		"let k = deal.ufCrm_KIND; textOf(k)":                        "2/false/ufCrm_KIND/47",
		"join(map(deals, textOf(.stageId) ?? ''), ' ')":             "2/false/stageId/NEW 2/false/stageId/WON",
		"join(textOf(deal.kinds), ' ')":                             "2/false/kinds/47 2/false/kinds/48",
		"join(map(deal.kinds, string(textOf(#) ?? '')), ' ')":       "2/false/kinds/47 2/false/kinds/48",
		"textOf(item.ufCrm5Kind)":                                   "1072/false/ufCrm5Kind/47",
		"textOf(element.KIND)":                                      "3/true/KIND/47",
		"textOf(deal?.none)":                                        nil,
		"[textOf(deal.zero), textOf(deal.empty), textOf(deal.php)]": list(nil, nil, nil),
	} {
		f, problems := formula.Compile(src, env)
		if problems != nil {
			t.Errorf("%s: %+v", src, problems)
			continue
		}
		if v, err := f.Eval(machine, vars); err != nil || fmt.Sprint(v) != fmt.Sprint(want) {
			t.Errorf("%s = %v, %v, want %v", src, v, err, want)
		}
	}
	for src, want := range map[string]string{
		"textOf(47)": "takes a field of an item", "textOf(thing)": "takes a field of an item", "textOf(deal)": "takes the value of a field with choices",
		"textOf(any.stageId)": "computes its type or list", "upper(textOf(deal.stageId))": "may be missing",
	} {
		_, problems := formula.Compile(src, env)
		if len(problems) != 1 || !strings.Contains(problems[0].Text(), want) {
			t.Errorf("%s: %+v, want %s", src, problems, want)
		}
	}
	f, problems := formula.Compile("textOf(deal.ufCrm_KIND) == 'Wholesail'", env)
	if problems != nil || len(f.Doubts()) != 1 || f.Doubts()[0].Code != "never-equal" || !strings.Contains(diag.Format(f.Doubts()[0].Hint, f.Doubts()[0].HintArgs), "Wholesale") {
		t.Errorf("a text that no choice has: %+v, %+v", problems, f.Doubts())
	}
	for _, src := range []string{"textOf(deal.old)", "textOf(item.ufCrm5Kind)"} {
		f, problems := formula.Compile(src, env)
		if problems != nil {
			t.Fatalf("%s: %+v", src, problems)
		}
		m := machine
		if strings.Contains(src, "item") {
			m = formula.NewMachine(t.Context()) // without a portal
		}
		if v, err := f.Eval(m, vars); err == nil {
			t.Errorf("%s = %v, want an error", src, v)
		}
	}
}
