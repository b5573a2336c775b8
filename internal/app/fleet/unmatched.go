package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
)

// Unmatched says why an event does not start a rule.
type Unmatched struct {
	Rule string `json:"rule"`
	File string `json:"file,omitempty"` // with the line of the rule
	Why  string `json:"why"`
}

// maxWhyNot bounds the stored text of WhyNot, in bytes.
const maxWhyNot = 1000

// WhyNot says for each rule of a portal why an event does not start it, as JSON of a list of
// Unmatched. It is cut to 1 kB.
func (g *Generation) WhyNot(portal string, e engine.Event) string {
	var all []Unmatched
	for _, name := range g.Missing(portal) {
		if name == Everything {
			all = append(all, Unmatched{Why: "the configuration has no portal " + portal + " whose rules run"})
			continue
		}
		why := "the rule set has errors and does not run: the event waits until it is valid"
		if slices.ContainsFunc(g.of(portal).refused, func(r Refused) bool { return r.Set == name && r.Removed() }) {
			why = "the file of the rule set is missing: the event waits 7 days for it"
		}
		all = append(all, Unmatched{Rule: name, Why: why})
	}
	for _, i := range g.Instances(portal) {
		for _, m := range describe.Match(i.Set, portal, e, i.Inputs) {
			if m.Matches {
				continue
			}
			all = append(all, Unmatched{Rule: m.Rule, File: fmt.Sprintf("%s:%d", m.File, m.Line), Why: strings.Join(m.Why, "; ")})
		}
	}
	if len(all) == 0 {
		all = append(all, Unmatched{Why: "no rule set runs in this portal"})
	}
	removed := map[string]bool{}
	for _, m := range g.of(portal).orphans {
		if _, _, runs := g.Rule(m.Rule, portal); !runs && !removed[m.Rule] && m.Released.IsZero() {
			removed[m.Rule] = true
			all = append(all, Unmatched{Rule: m.Rule, File: lineOf(m.File), Why: "the rule was removed: what it has made is still there"})
		}
	}
	return unmatchedJSON(all)
}

// lineOf is a place without its column.
func lineOf(place string) string {
	if i := strings.LastIndexByte(place, ':'); i >= 0 {
		return place[:i]
	}
	return place
}

// unmatchedJSON returns the first entries that fit, and says how many more there are.
func unmatchedJSON(all []Unmatched) string {
	total := len(all)
	all = all[:min(total, maxWhyNot/len(`{"rule":"","why":""}`))] // more cannot fit
	for {
		list := slices.Clone(all)
		if more := total - len(all); more > 0 {
			list = append(list, Unmatched{Why: fmt.Sprintf("and %d more rules", more)})
		}
		text, err := json.Marshal(list)
		if err != nil {
			return "" // texts always have a JSON form
		}
		if len(text) <= maxWhyNot {
			return string(text)
		}
		if len(all) == 1 {
			if len(all[0].Why) < 10 {
				return "" // a path of a kilobyte
			}
			all[0].Why = cutText(all[0].Why, len(all[0].Why)/2)
			continue
		}
		all = all[:len(all)-1]
	}
}

func cutText(text string, n int) string {
	return strings.ToValidUTF8(text[:n], "") + "…"
}

// ReadUnmatched reads the form of WhyNot. It is empty for an event that an older version has
// stored.
func ReadUnmatched(text string) []Unmatched {
	var all []Unmatched
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	return all
}
