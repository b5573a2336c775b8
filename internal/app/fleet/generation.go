package fleet

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ledger"
)

// A Generation is the rule sets that run at one time. It does not change.
type Generation struct {
	// Changing says that a file was still being written: the next Load may read it.
	Changing bool

	portals map[string]*portalRules
	// idle are rule sets that are for no portal of the configuration.
	idle []*engine.RuleSet
	// notes are findings that do not prevent rules from running.
	notes diag.List
}

// portalRules are the rule sets of one portal.
type portalRules struct {
	live    []*Instance // sorted by file
	refused []Refused   // sorted by file
	// orphans are marks that no rule has and whose records exist.
	orphans []ledger.Mark
	// old are marks that a step finds only by its old key or scope.
	old []ledger.Mark
	// moved are rule sets whose files are missing and whose rules all run in other files, by name.
	moved map[string]*engine.RuleSet
}

// Instance is a rule set that runs in one portal, with its inputs there.
type Instance struct {
	Set    *engine.RuleSet
	Inputs map[string]any

	once  sync.Once
	marks []candidate // see candidates
}

// key tells the instances of a portal from each other.
func (i *Instance) key() string { return i.Set.File + "\x00" + i.Set.Name }

// Refused is a rule set of a portal whose current text does not run there.
type Refused struct {
	Portal string
	// Set is the name of the rule set, File the path of its file.
	Set, File string
	// Findings are the reasons. Without any, the file is missing.
	Findings diag.List
	// Running is the version that runs instead; "" for none.
	Running string
	// Text is what is on disk now; "" if the file is missing.
	Text string

	last    *engine.RuleSet // the last version, if the file is missing
	unknown bool            // no file has the name that the portal uses
}

// Removed reports whether the file is missing.
func (r Refused) Removed() bool { return len(r.Findings) == 0 }

// Reason is the first error in one line, with its place.
func (r Refused) Reason() string {
	for _, f := range r.Findings {
		if f.Severity == diag.Error {
			return f.String()
		}
	}
	return fmt.Sprintf("the file of rule set %s is missing, or the portal no longer uses it", r.Set)
}

// Everything is what Missing returns for a portal whose rule sets are not known.
const Everything = "*"

// Route returns the rules of a portal that match an event.
func (g *Generation) Route(portal string, e engine.Event) []engine.Route {
	var out []engine.Route
	for _, i := range g.of(portal).live {
		out = append(out, i.Set.Route(portal, e, i.Inputs)...)
	}
	return out
}

// Hook returns the rule of a portal that takes a hook, and its inputs. ok is false if none
// does.
func (g *Generation) Hook(portal, name string) (r *engine.Rule, inputs map[string]any, ok bool) {
	for r, inputs := range g.Rules(portal) {
		if r.TakesHook(name) {
			return r, inputs, true
		}
	}
	return nil, nil, false
}

// RouteSet is Route for one rule set. If its file has another name now, or its rules are in other
// files, it returns the routes of these rules. ok is false if they do not run in the portal.
func (g *Generation) RouteSet(portal, set string, e engine.Event) (routes []engine.Route, ok bool) {
	p := g.of(portal)
	if i := p.find(set); i != nil {
		return i.Set.Route(portal, e, i.Inputs), true
	}
	last := p.moved[set]
	if last == nil {
		return nil, false
	}
	return slices.DeleteFunc(g.Route(portal, e), func(r engine.Route) bool {
		return !slices.ContainsFunc(last.Rules, func(was *engine.Rule) bool { return takesOver(r.Rule, was) })
	}), true
}

// takesOver reports whether a rule is a former one, perhaps under another id.
func takesOver(r, was *engine.Rule) bool { return r.ID == was.ID || slices.Contains(r.From, was.ID) }

// Missing returns the names of the rule sets that should run in a portal and do not,
// sorted. It is not known which events they match. For a portal that the generation does not
// have it returns Everything.
func (g *Generation) Missing(portal string) []string {
	if g == nil {
		return []string{Everything}
	}
	p, ok := g.portals[portal]
	if !ok {
		return []string{Everything}
	}
	var out []string
	for _, r := range p.refused {
		if r.Running == "" && !slices.Contains(out, r.Set) {
			out = append(out, r.Set)
		}
	}
	slices.Sort(out)
	return out
}

// Incomplete reports whether a rule set with errors has no version that runs in some
// portal. It may have a rule that was not found.
func (g *Generation) Incomplete() bool {
	return slices.ContainsFunc(g.Refused(), func(r Refused) bool { return r.Running == "" })
}

// Instances returns the rule sets that run in a portal, sorted by file.
func (g *Generation) Instances(portal string) []*Instance { return g.of(portal).live }

// Rules returns the rules that run in a portal, with their inputs.
func (g *Generation) Rules(portal string) iter.Seq2[*engine.Rule, map[string]any] {
	return func(yield func(*engine.Rule, map[string]any) bool) {
		for _, i := range g.of(portal).live {
			for _, r := range i.Set.Rules {
				if r.Serves(portal) && !yield(r, i.Inputs) {
					return
				}
			}
		}
	}
}

// Rule finds a rule and its inputs for a portal.
func (g *Generation) Rule(id, portal string) (*engine.Rule, map[string]any, bool) {
	for r, inputs := range g.Rules(portal) {
		if r.ID == id {
			return r, inputs, true
		}
	}
	return nil, nil, false
}

// Refused returns the rule sets whose current text does not run, of all portals, in
// the order of portals and files.
func (g *Generation) Refused() []Refused {
	var out []Refused
	for _, p := range g.portals { // mostly none has any
		out = append(out, p.refused...)
	}
	slices.SortStableFunc(out, func(a, b Refused) int { return strings.Compare(a.Portal, b.Portal) })
	return out
}

// Orphans returns what rules have made in a portal that no rule has any more.
func (g *Generation) Orphans(portal string) []ledger.Mark { return g.of(portal).orphans }

// Owned returns those of some marks of a portal that are noted as orphans or as released, and that
// rules have again. A mark without records is one of them, because the rule may make some.
func (g *Generation) Owned(portal string, marks []ledger.Mark) []ledger.Mark {
	p := g.of(portal)
	all := candidates(p.live, portal)
	var out []ledger.Mark
	for _, m := range marks {
		refused := slices.ContainsFunc(p.refused, func(r Refused) bool { return r.Set == setOf(m) })
		if (!m.Orphan.IsZero() || !m.Released.IsZero() && !refused) && finds(all, m) {
			out = append(out, m)
		}
	}
	return out
}

// OfOldKeys returns what steps of a portal have made with the key or the scope that they had before.
func (g *Generation) OfOldKeys(portal string) []ledger.Mark { return g.of(portal).old }

// Portals returns the names of the portals, sorted.
func (g *Generation) Portals() []string { return slices.Sorted(maps.Keys(g.portals)) }

// CheckRule returns an error for a rule that a portal does not have. With the portal
// "" it returns an error for a rule that no portal has. The error names a similar
// rule.
func (g *Generation) CheckRule(id, portal string) error {
	var here, others []string
	for name := range g.portals {
		for r := range g.Rules(name) {
			switch {
			case portal == "" || portal == name:
				here = append(here, r.ID)
			case r.ID == id:
				others = append(others, name)
			}
		}
	}
	if slices.Contains(here, id) {
		return nil
	}
	text := fmt.Sprintf("portal %s has no rule %q", portal, id)
	if portal == "" {
		text = fmt.Sprintf("no portal has a rule %q", id)
	}
	slices.Sort(others)
	if near := diag.Closest(id, here); len(others) > 0 {
		text += ": it is for " + strings.Join(others, ", ")
	} else if near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return errors.New(text)
}

// Findings returns the findings of all rule sets whose current text does not run.
func (g *Generation) Findings() diag.List {
	var all diag.List
	for _, b := range g.broken() {
		all.Add(b.Findings...)
	}
	all.Sort()
	return all
}

// Notes returns the findings that do not prevent rules from running.
func (g *Generation) Notes() diag.List { return g.notes }

// StartFindings returns the errors with which serve must not start, because no rule
// runs: those of the rules, and of the configuration in path.
func (g *Generation) StartFindings(path string) diag.List {
	if len(g.sets()) > 0 || len(g.idle) > 0 {
		return nil
	}
	all := g.Findings()
	all.Add(g.notes...)
	if len(all) == 0 {
		all.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "no-rules", "the paths in rules have no rule file")
	}
	all.Sort()
	return all
}

// of returns the rule sets of a portal.
func (g *Generation) of(portal string) *portalRules {
	if g != nil && g.portals[portal] != nil {
		return g.portals[portal]
	}
	return &portalRules{}
}

// find returns the running rule set with a name, nil if there is none.
func (p *portalRules) find(set string) *Instance {
	for _, i := range p.live {
		if i.Set.Name == set {
			return i
		}
	}
	return nil
}

// runAll reports whether all rules of a rule set run, in whatever file and under whatever id.
func (p *portalRules) runAll(set *engine.RuleSet) bool {
	for _, r := range set.Rules {
		if !slices.ContainsFunc(p.live, func(i *Instance) bool {
			return slices.ContainsFunc(i.Set.Rules, func(o *engine.Rule) bool { return takesOver(o, r) })
		}) {
			return false
		}
	}
	return true
}

// Sets returns how many rule sets run.
func (g *Generation) Sets() int { return len(g.sets()) }

// sets returns the rule sets that run in a portal, each version once, sorted by file.
func (g *Generation) sets() []*engine.RuleSet {
	if g == nil {
		return nil
	}
	var out []*engine.RuleSet
	seen := map[string]bool{}
	for _, name := range g.Portals() {
		for _, i := range g.portals[name].live {
			if key := i.Set.File + "\x00" + i.Set.Version; !seen[key] {
				seen[key] = true
				out = append(out, i.Set)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *engine.RuleSet) int { return strings.Compare(a.File, b.File) })
	return out
}

// A brokenFile is a rule file whose current text does not run in some portals.
type brokenFile struct {
	File     string
	Findings diag.List
	// Running says that an earlier text of the file still runs in each of them.
	Running bool
}

// broken returns the rule files with errors, each with the same findings once.
func (g *Generation) broken() []brokenFile {
	if g == nil {
		return nil
	}
	var out []brokenFile
	for _, r := range g.Refused() {
		if r.Removed() {
			continue
		}
		i := slices.IndexFunc(out, func(b brokenFile) bool {
			return b.File == r.File && slices.Equal(lines(b.Findings), lines(r.Findings))
		})
		if i < 0 {
			i, out = len(out), append(out, brokenFile{File: r.File, Findings: r.Findings, Running: true})
		}
		out[i].Running = out[i].Running && r.Running != ""
	}
	return out
}

func lines(l diag.List) []string {
	out := make([]string, len(l))
	for i, f := range l {
		out[i] = f.String()
	}
	return out
}

// secrets returns the secret inputs of the rules.
func (g *Generation) secrets() []string {
	var out []string
	for _, p := range g.portals {
		for _, i := range p.live {
			for _, v := range i.Inputs {
				if secret, ok := v.(bitrix.Secret); ok {
					out = append(out, secret.Reveal())
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
