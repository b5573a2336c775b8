package formula_test

import (
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
)

// TestFromData: which values come from data, and which the rule file or the
// configuration decides.
func TestFromData(t *testing.T) {
	text := formula.Type{Kind: formula.String}
	env := formula.Env{
		Vars: map[string]formula.Type{
			"deal":   formula.OpenRecord(map[string]formula.Type{"title": text, "sum": {Kind: formula.Number}}),
			"rows":   formula.ListOf(formula.OpenRecord(map[string]formula.Type{"name": text})),
			"event":  formula.RecordOf(map[string]formula.Type{"id": {Kind: formula.Int}, "portal": text}),
			"inputs": formula.RecordOf(map[string]formula.Type{"base": text, "hosts": formula.ListOf(text)}),
			"label":  text,
		},
		Trusted: map[string]bool{"inputs": true, "event.portal": true, "label": true},
	}
	for src, want := range map[string]bool{
		`"https://a.example.com"`:               false,
		`inputs.base`:                           false,
		`inputs.base + "/x"`:                    false,
		`event.portal`:                          false,
		`label`:                                 false,
		`upper(label)`:                          false,
		`inputs.hosts[event.id]`:                false, // data only chooses
		`first(inputs.hosts) ?? "x"`:            false,
		`deal.title == "a" ? "b" : "c"`:         false,
		`string(deal.title == "a")`:             false,
		`find(inputs.hosts, # == deal.title)`:   false,
		`{"a": inputs.base}[deal.title]`:        false,
		`!(deal.sum > 3)`:                       false,
		`let x = inputs.base; x + "/"`:          false,
		`len(inputs.hosts)`:                     false,
		`deal`:                                  true,
		`deal.title`:                            true,
		`deal["title"]`:                         true,
		`event`:                                 true,
		`event.id`:                              true,
		`"https://" + deal.title`:               true,
		`lower(deal.title)`:                     true,
		`deal.title ?? "x"`:                     true,
		`label ?? deal.title`:                   true,
		`deal.sum > 3 ? "a" : deal.title`:       true,
		`string(deal.sum)`:                      true,
		`join(map(rows, .name), "")`:            true,
		`join(map(inputs.hosts, deal.title))`:   true,
		`reduce(rows, #acc + .name, "")`:        true,
		`let x = deal.title; x`:                 true,
		`let x = deal; let y = inputs; x.title`: true,
		`[inputs.base, deal.title][0]`:          true,
		`{"a": deal.title}.a`:                   true,
		`inputs.base[:event.id]`:                true,
		`replace(inputs.base, "a", deal.title)`: true,
	} {
		f, problems := formula.Compile(src, env)
		if len(problems) > 0 {
			t.Errorf("%s: %s", src, problems[0].Text())
			continue
		}
		if got := f.FromData(); got != want {
			t.Errorf("%s comes from data: %v, want %v", src, got, want)
		}
	}
	template, problems := formula.CompileTemplate("a {{ label }} b {{ deal.title }}", env)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	parts := template.Parts()
	if len(parts) != 4 || parts[0].Text != "a " || !parts[1].Hole || parts[1].FromData || !parts[3].FromData || parts[3].From != 19 || !template.FromData() {
		t.Errorf("parts %+v", parts)
	}
}
