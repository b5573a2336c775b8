package lint

import (
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// source is a hook or a robot of a rule: what has an address.
type source struct {
	rule *engine.Rule
	node *yaml.Node
	name string // hook shop
}

// checkSources reports rules that take the same hook or robot: an address starts one
// rule. across selects the pairs in different files; otherwise it reports the pairs inside
// one file.
func checkSources(sets []*engine.RuleSet, across bool, list *diag.List) {
	var all []source
	for _, s := range sets {
		for _, r := range s.Rules {
			for _, b := range sourcesOf(r) {
				for _, a := range all {
					if a.name != b.name || across != (a.rule.Set != b.rule.Set) || !share(a.rule.Portals, b.rule.Portals) {
						continue
					}
					s.Source.WithEnd(b.node, list.Errorf(s.Source.Pos(b.node), "source-taken", "rule %s at %s takes the %s, too, and one address starts one rule", a.rule.ID, a.rule.Pos, b.name)).
						Hint = "give it another name, or let one rule start the other: about and start"
					break
				}
				all = append(all, b)
			}
		}
	}
}

func sourcesOf(r *engine.Rule) []source {
	var out []source
	if r.Hook != nil {
		out = append(out, source{r, r.Hook.Node, "hook " + r.Hook.Name})
	}
	for _, b := range r.Robots {
		out = append(out, source{r, b.Node, "robot " + b.Code})
	}
	return out
}
