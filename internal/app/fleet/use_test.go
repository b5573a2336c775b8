package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/config"
)

// fleetConfig is a configuration with portals, each with a line of keys.
func fleetConfig(t *testing.T, portals ...string) []config.Portal {
	t.Helper()
	text := "rules: [.]\nportals:\n"
	for _, p := range portals {
		name, keys, _ := strings.Cut(p, ": ")
		text += fmt.Sprintf("  %s: {webhook: \"https://x.bitrix24.com/rest/1/code/\", application_token: t0k3n, %s}\n", name, keys)
	}
	c, list := config.Parse("b24rules.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if list.HasErrors() {
		t.Fatal(list)
	}
	return c.Portals
}

const (
	shipsText = `version: 1
inputs: {list: {type: integer}}
rules:
  ships:
    on: ONCRMDEALUPDATE
    steps:
      - upsert_element: {list: =inputs.list, key: =event.id, fields: {NAME: x}}
      - start: {rule: totals}
  totals: {about: portal, steps: [{log: {message: hi}}]}
`
	moreText = "version: 1\nrules:\n  more:\n    on: ONCRMDEALADD\n    steps: [{start: {rule: totals}}, {log: {message: hi}}]\n"
)

// describePortal writes the rules and the refused sets of a portal down.
func describePortal(g *Generation, portal string) []string {
	var out []string
	for r, inputs := range g.Rules(portal) {
		out = append(out, fmt.Sprintf("%s of %s owns %s with %v", r.ID, r.Set.Name, r.Owner, inputs["list"]))
	}
	for _, r := range g.of(portal).refused {
		text := "refused " + r.Set
		for _, f := range r.Findings {
			text += " " + f.Code
		}
		if r.Running != "" {
			text += ", runs on"
		}
		out = append(out, text)
	}
	return out
}

func TestInstances(t *testing.T) {
	files := map[string]string{"ships.yaml": shipsText, "more.yaml": moreText}
	l := &Rules{Actions: actions.All, Source: memorySource(files, "more.yaml", "ships.yaml")}
	steps := []struct {
		name, use string
		want      []string
	}{
		{"two instances", "{ships: {list: 47}, ships@spb: {list: 52}}", []string{
			"ships of ships owns ships with 47", "totals of ships owns totals with 47",
			"ships@spb of ships@spb owns ships@spb with 52", "totals@spb of ships@spb owns totals@spb with 52",
		}},
		{"a name that no file has", "{shps: {list: 47}, ships@spb: {list: 52}}", []string{
			"ships of ships owns ships with 47", "totals of ships owns totals with 47",
			"ships@spb of ships@spb owns ships@spb with 52", "totals@spb of ships@spb owns totals@spb with 52",
			"refused shps unknown-set",
		}},
		{"one place twice", "{ships: {list: 47}, ships@spb: {list: 47}}", []string{
			"ships of ships owns ships with 47", "totals of ships owns totals with 47",
			"ships@spb of ships@spb owns ships@spb with 52", "totals@spb of ships@spb owns totals@spb with 52",
			"refused ships@spb same-place, runs on",
		}},
		{"one is not used any more", "{more: , ships@spb: {list: 52}, ships: off}", []string{
			"more of more owns more with <nil>",
			"ships@spb of ships@spb owns ships@spb with 52", "totals@spb of ships@spb owns totals@spb with 52",
			"refused ships",
		}},
		{"an input is missing", "{more: , ships@spb: {}}", []string{
			"more of more owns more with <nil>",
			"ships@spb of ships@spb owns ships@spb with 52", "totals@spb of ships@spb owns totals@spb with 52",
			"refused ships", "refused ships@spb bad-input, runs on",
		}},
	}
	for _, s := range steps {
		if _, _, err := l.Change(fleetConfig(t, "main: use: "+s.use), nil, nil); err != nil {
			t.Fatal(err)
		}
		got := describePortal(l.Current(), "main")
		slices.Sort(got)
		slices.Sort(s.want)
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
	}
}

// TestUse has portals that run different rule sets.
func TestUse(t *testing.T) {
	files := map[string]string{"ships.yaml": shipsText, "more.yaml": moreText, "broken.yaml": brokenText, "a@b.yaml": ruleText("a", "1")}
	l := &Rules{
		Actions: actions.All, Source: memorySource(files, "a@b.yaml", "broken.yaml", "more.yaml", "ships.yaml"),
		Portals: fleetConfig(t, "all: inputs: {ships: {list: 1}}", "none: use: {}", "one: use: {more: on}", "wrong: use: {shps: {list: 7}}"),
	}
	_, gen, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, portal := range gen.Portals() {
		for _, line := range describePortal(gen, portal) {
			got = append(got, portal+": "+line)
		}
	}
	want := []string{
		"all: more of more owns more with <nil>", "all: ships of ships owns ships with 1", "all: totals of ships owns totals with 1",
		"all: refused a@b bad-name", "all: refused broken bad-name missing-key",
		"one: more of more owns more with <nil>",
		"wrong: refused shps unknown-set",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if missing := gen.Missing("wrong"); !slices.Equal(missing, []string{"shps"}) {
		t.Errorf("missing %v", missing)
	}
	for _, r := range gen.Refused() {
		if r.Portal == "wrong" && (r.Reason() != "b24rules.yaml:6:91: no rule file is named \"shps\", so portal wrong cannot use it [unknown-set] (did you mean ships?)") {
			t.Error(r.Reason())
		}
	}
}

// TestApplied has versions that wait until they are applied, also after a restart and in a portal
// that comes later.
func TestApplied(t *testing.T) {
	files := map[string]string{"a.yaml": ruleText("a", "1")}
	applied := Applied{}
	main, late := config.Portal{Name: "main"}, config.Portal{Name: "late"}
	l := &Rules{
		Actions: actions.All, Source: memorySource(files, "a.yaml", "b.yaml"), Portals: []config.Portal{main},
		Applied: func(context.Context) (Applied, error) { return applied, nil },
	}
	check := func(name string, want ...string) {
		t.Helper()
		_, gen, err := l.Load()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, portal := range gen.Portals() {
			for _, i := range gen.Instances(portal) {
				got = append(got, portal+" runs "+i.Set.Title)
			}
			for _, r := range gen.of(portal).refused {
				got = append(got, portal+" waits for "+r.File+" "+r.Findings[0].Code)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("the first version", "main runs 1")
	files["a.yaml"], files["b.yaml"] = ruleText("a", "2"), ruleText("b", "new")
	check("a new version and a new file", "main runs 1", "main waits for a.yaml not-applied", "main waits for b.yaml not-applied")
	l.Portals = []config.Portal{main, late}
	check("a new portal", "late runs 2", "late runs new", "main runs 1", "main waits for a.yaml not-applied", "main waits for b.yaml not-applied")
	applied[[2]string{"main", "b"}] = l.Current().Instances("late")[1].Set.Version
	check("the new file is applied", "late runs 2", "late runs new", "main runs 1", "main runs new", "main waits for a.yaml not-applied")
	files["a.yaml"] = ruleText("a", "1")
	check("the old file is back", "late runs 2", "late runs new", "late waits for a.yaml not-applied", "main runs 1", "main runs new")

	// A process that starts knows what ran.
	l = &Rules{Actions: actions.All, Source: l.Source, Portals: []config.Portal{main}, Applied: l.Applied, Before: Before{"main": {"a": {"a.yaml", ruleText("a", "0")}}}}
	check("after a restart", "main runs 0", "main runs new", "main waits for a.yaml not-applied")
}
