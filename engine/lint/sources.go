package lint

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// source is a hook or a robot of a rule: what has an address.
type source struct {
	name string // hook shop
	at   place
}

// checkSources reports rules that take the same hook or robot: an address starts one
// rule. across selects the pairs in different files; otherwise it reports the pairs inside
// one file.
func checkSources(sets []*Summary, across bool, list *diag.List) {
	takers := map[string][]*ruleSummary{} // by the name of the source
	for _, s := range sets {
		for _, r := range s.rules {
			for _, b := range r.sources {
				for _, a := range takers[b.name] {
					if across != (a.set != s) || !share(a.portals, r.portals) {
						continue
					}
					b.at.mark(list.Errorf(b.at.Pos, "source-taken", "rule %s at %s takes the %s, too, and one address starts one rule", a.id, a.at.Pos, b.name)).
						Hint = "give it another name, or let one rule start the other: about and start"
					break
				}
				takers[b.name] = append(takers[b.name], r)
			}
		}
	}
}

func sourcesOf(r *engine.Rule) []source {
	var out []source
	file := r.Set.Source
	if r.Hook != nil {
		out = append(out, source{"hook " + r.Hook.Name, placeOf(file, r.Hook.Node)})
	}
	for _, b := range r.Robots {
		out = append(out, source{"robot " + b.Code, placeOf(file, b.Node)})
	}
	return out
}
