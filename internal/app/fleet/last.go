package fleet

import (
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
)

// Last returns the rule sets that ran last in portals, with the inputs that the portals have now.
// problems has the findings of those that cannot run like that, by portal and name of the rule set.
func Last(before Before, portals []config.Portal, actions []*engine.Action) (g *Generation, problems map[[2]string]diag.List) {
	b := &builder{rules: &Rules{Actions: actions}, compiled: map[RuleText]compiled{}}
	g, problems = &Generation{portals: map[string]*portalRules{}}, map[[2]string]diag.List{}
	for _, p := range portals {
		here := &portalRules{}
		for _, name := range slices.Sorted(maps.Keys(before[p.Name])) {
			c := b.compileAs(before[p.Name][name], name)
			list := c.list
			if c.set != nil {
				var i *Instance
				if i, list = bind(c.set, p); !list.HasErrors() {
					here.live = append(here.live, i)
					continue
				}
			}
			problems[[2]string{p.Name, name}] = list
		}
		slices.SortFunc(here.live, func(x, y *Instance) int { return strings.Compare(x.Set.File, y.Set.File) })
		g.portals[p.Name] = here
	}
	return g, problems
}

// Over returns the source that has the rule sets of top instead of those of the same names in
// base, and all others of base.
func Over(base, top RuleSource) RuleSource {
	return func() ([]RuleFile, error) {
		added, err := top()
		if err != nil {
			return nil, err
		}
		all, err := base()
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(f RuleFile) bool {
			return slices.ContainsFunc(added, func(a RuleFile) bool { return SetName(a.Name) == SetName(f.Name) })
		})
		return append(all, added...), nil
	}
}
